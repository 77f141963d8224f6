-- What collections' events say of each published collection: its artworks are shown to everybody while it is not archived.
create table published_collections (
  collection_id uuid primary key,
  job_id        uuid,
  tokens        bigint not null,
  is_archived   boolean not null,
  epoch         integer not null,
  version       bigint not null
);
-- The artworks that are sold, by the numbers of their tokens.
create table published_tokens (
  collection_id uuid not null,
  number        bigint not null,
  gid           uuid not null,
  primary key (collection_id, number)
);
