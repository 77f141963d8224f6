-- What storage has told of the files of steps: a worker's word on them is not taken. Kept for as long as a result may
-- still name them; what became of a step is in its events.
create table stored_files (
  path      text primary key,
  sid       uuid not null,
  asset_id  bigint not null,
  url       text not null,
  mime_type text not null,
  sha256    text not null,
  size      bigint not null,
  stored_at timestamptz not null
);
create index stored_files_at on stored_files (stored_at);
