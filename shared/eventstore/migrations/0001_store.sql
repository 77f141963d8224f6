-- The tables of an event store. One database per service. Every statement repeats safely: databases of the first releases,
-- which had no version tables, have all of this already.

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
