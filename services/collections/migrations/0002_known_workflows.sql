-- Each workflow that generation has registered, and the fields that all of its versions require, as JSON: publishing
-- refuses a step that generation could not have run.
create table known_workflows (
  name     text primary key,
  required text not null
);
