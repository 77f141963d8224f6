-- What the release 5a72a2e applies each time it starts: it may do so after a later one has migrated the database.
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

-- One group commit, in one round trip. `streams`, `expected` and `of_append` say, per append and stream, which version
-- it was decided on; `keys` is each append's first event id, by which a command that came before is known. An append
-- that comes too late (an `actual` version is answered) or came before (`repeated`) writes nothing; the others do, and
-- the positions answered are theirs in order.
-- The advisory lock makes commit order equal position order: whoever reads position N will never find a smaller one new.
create or replace function append_events(
  of_append integer[], streams uuid[], expected bigint[],
  keys uuid[], metadata bytea[],
  event_append integer[], event_ids uuid[], event_streams uuid[], versions bigint[], types text[], data bytea[]
) returns table (append integer, event_id uuid, "position" bigint, repeated boolean, stream_id uuid, actual bigint)
language plpgsql as $$
begin
  perform pg_advisory_xact_lock(28549302371446899);
  return query
  with repeats as materialized (
    select k.append from unnest(keys) with ordinality as k(event_id, append)
    where exists (select from events e where e.event_id = k.event_id)
  ), late as materialized (
    select h.append, h.stream_id, h.actual from (
      select s.append, s.stream_id, s.expected,
             coalesce((select e.version from events e where e.stream_id = s.stream_id order by e.version desc limit 1), 0) as actual
      from unnest(of_append, streams, expected) as s(append, stream_id, expected)
    ) as h
    where h.actual <> h.expected and h.append not in (select r.append from repeats r)
  ), written as (
    insert into events (event_id, stream_id, version, type, data, metadata)
    select n.event_id, n.stream_id, n.version, n.type, n.data, append_events.metadata[n.append]
    from unnest(event_append, event_ids, event_streams, versions, types, append_events.data)
         with ordinality as n(append, event_id, stream_id, version, type, data, place)
    where n.append not in (select r.append from repeats r) and n.append not in (select l.append from late l)
    order by n.place
    returning events."position"
  )
  select null::integer, null::uuid, w."position", false, null::uuid, null::bigint from written w
  union all select r.append::integer, null, null, true, null, null from repeats r
  union all select l.append, null, null, false, l.stream_id, l.actual from late l;
end $$;

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
-- Tables of the consumers of a service, in its own database. Applied at each start under a lock, so every statement
-- repeats safely.

-- Events that could not be handled, and those of the same stream that wait behind them.
create table if not exists parked (
  id         bigint generated always as identity primary key,
  consumer   text not null,
  message_id text not null,   -- the event's id; what stands for it where a message has none
  stream_id  uuid,            -- null: malformed so that no stream can be told, so none waits
  position   bigint,          -- in the owner's store
  type       text,
  subject    text not null,
  headers    jsonb not null,
  body       bytea not null,
  -- parked: needs an operator; waiting: behind a parked one of its stream; retrying: an operator asked for it
  status     text not null check (status in ('parked', 'waiting', 'retrying', 'handled', 'discarded')),
  error      text,
  attempts   integer not null default 0,
  parked_at  timestamptz not null default clock_timestamp(),
  resolved_at timestamptz,
  resolved_by text,
  reason     text,
  constraint parked_message unique (consumer, message_id)
);
create index if not exists parked_unresolved on parked (consumer, stream_id, position)
  where status in ('parked', 'waiting', 'retrying');
create index if not exists parked_retrying on parked (consumer) where status = 'retrying';
create index if not exists parked_position on parked (consumer, position);

-- What was done about each, by whom and why: never changed, never deleted.
create table if not exists parked_actions (
  id        bigint generated always as identity primary key,
  parked_id bigint not null references parked (id),
  action    text not null,
  actor     text not null,
  detail    text,
  at        timestamptz not null default clock_timestamp()
);
create index if not exists parked_actions_parked on parked_actions (parked_id, id);

-- Up to where a consumer has settled everything: what comes again from before (a broker that was wiped and refilled) is
-- passed over. Position and time: after a restore of the owner's database positions are given a second time, later.
create table if not exists consumed (
  consumer    text primary key,
  position    bigint not null,
  recorded_at timestamptz not null
);
-- What the projector knows of each read table. `heartbeat_at` is written while it runs, busy or idle, so that a dead
-- projector shows as dead and not as a lag of 0.
create table if not exists projections (
  name         text primary key,
  version      integer not null,
  position     bigint not null default 0,
  heartbeat_at timestamptz not null default clock_timestamp(),
  leader       text not null default ''
);
-- What the `eventsourcing` library keeps beside its events, which go to the event store's own table. Repeats safely.

create table if not exists recorder_snapshots (
  originator_id      uuid not null,
  originator_version bigint not null,
  topic              text not null,
  state              bytea not null,
  primary key (originator_id, originator_version)
);

-- How far `follower` (an application or a projection of the library) has come in another application's notifications.
create table if not exists recorder_tracking (
  follower         text not null,
  application_name text not null,
  notification_id  bigint not null,
  primary key (follower, application_name)
);
-- Component ids are unique on the whole platform, and this sequence is where they come from. Each value begins a block
-- of 1000 that one process hands out. They begin where no one takes them for a step's place in a list, and end below
-- 2^53, so that clients which read JSON numbers as doubles keep them exact.
create sequence if not exists component_ids as bigint
  start with 10000000000 increment by 1000 minvalue 10000000000 maxvalue 9007199254739000 no cycle;
