-- The newest version of each workflow that generation has registered, and the fields that its steps must set, as JSON:
-- publishing refuses a step that generation could not run.
create table known_workflows (
  name        text primary key,
  version     bigint not null,
  required    text not null,
  recorded_at timestamptz not null
);
