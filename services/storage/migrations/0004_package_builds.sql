-- Publish packages that are to be built, or are being built: the consumer of collections' events adds a row for each
-- attempt, and the replica that builds, the holder of the lease `package-builds`, deletes it when the attempt has ended.
create table package_builds (
  package_id   uuid not null,
  attempt      integer not null,
  user_id      uuid not null,
  size         bigint not null,
  request      text not null,
  context      text not null,
  number       bigint generated always as identity,
  is_cancelled boolean not null default false,
  starts       integer not null default 0,
  failures     integer not null default 0,
  not_before   timestamptz not null default '-infinity',
  upload_id    text,
  primary key (package_id, attempt)
);
