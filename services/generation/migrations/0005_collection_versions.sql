-- The newest version of each collection whose event was consumed, whether or not it changed generation's copy: a request
-- that states a version is decided once that version is here.
create table collection_versions (
  collection_id uuid primary key,
  version       bigint not null,
  epoch         integer not null,
  recorded_at   timestamptz not null
);
