-- What is known of each read table, by its name in the database, version and all; a rebuild has a row of its own.
-- The table `projections` is the one of release 0.1.0, for its unversioned tables: a later release may drop it.
create table read_tables (
  name          text primary key,
  position      bigint not null default 0,
  status        text not null default 'building' check (status in ('building', 'live', 'failed')),
  lease         text not null default '',
  leader        text not null default '',
  error         text,
  event         text,
  stuck_at      bigint,
  failing_since timestamptz,
  fingerprint   text not null default '',
  moved_at      timestamptz not null default clock_timestamp()
);
comment on column read_tables.position is 'All events up to this one are in the table.';
comment on column read_tables.status is
  'building: behind the others, catching up. live: kept with the others. failed: stuck on the event at stuck_at.';
comment on column read_tables.lease is 'Whose holder projects the table: no other leader may.';
comment on column read_tables.leader is 'The instance that held the lease when it took the table over.';
comment on column read_tables.fingerprint is 'Of a rebuild: of the code that it was begun with.';

-- Which processes read which tables. A table that none has named for long is dropped.
create table read_table_users (
  table_name text not null,
  instance   text not null,
  release    text not null,
  seen_at    timestamptz not null default clock_timestamp(),
  primary key (table_name, instance)
);

-- Events that an operator has decided to leave out of a table, for ever: rebuilds leave them out, too.
create table read_table_skips (
  table_name text not null,
  position   bigint not null,
  event      text not null,
  error      text not null,
  reason     text not null check (reason <> ''),
  actor      text not null,
  skipped_at timestamptz not null default clock_timestamp(),
  primary key (table_name, position)
);
