-- The tables of an event store. One database per service; applied at each start under a lock, so every statement repeats safely.

create table if not exists events (
  position    bigint generated always as identity primary key,
  event_id    uuid not null,
  stream_id   uuid not null,
  version     bigint not null,
  type        text not null,
  data        bytea storage external not null,
  metadata    bytea not null,
  recorded_at timestamptz not null default clock_timestamp(),
  constraint events_event_id unique (event_id),
  constraint events_stream_version unique (stream_id, version)
);

create index if not exists events_recorded_at on events using brin (recorded_at);

create table if not exists snapshots (
  stream_id uuid not null,
  state     text not null,
  schema    integer not null,
  version   bigint not null,
  position  bigint not null,
  data      bytea not null,
  taken_at  timestamptz not null default clock_timestamp(),
  primary key (stream_id, state)
);

-- How far each tailer of this store (relay, process) has come.
create table if not exists checkpoints (
  name       text primary key,
  position   bigint not null,
  updated_at timestamptz not null default clock_timestamp()
);

-- History for people with an SQL prompt: the same rows, readable.
create or replace view history as
  select position, recorded_at, type, stream_id, version,
         convert_from(data, 'UTF8')::jsonb as event, convert_from(metadata, 'UTF8')::jsonb as metadata, event_id
  from events;
