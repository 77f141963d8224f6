-- `append_events` with the time at which the batch was recorded: it is the same for all of its events, and is answered,
-- so that a command can be answered without reading back what it wrote. Answered, too: the event before the batch, so that
-- who has read up to there need not read the batch. `append_events` stays for the release before.
create or replace function append_events_2(
  of_append integer[], streams uuid[], expected bigint[],
  keys uuid[], metadata bytea[],
  event_append integer[], event_ids uuid[], event_streams uuid[], versions bigint[], types text[], data bytea[]
) returns table (append integer, "position" bigint, repeated boolean, stream_id uuid, actual bigint, recorded_at timestamptz, before bigint, before_id uuid)
language plpgsql as $$
declare
  recorded timestamptz;
  latest record;
begin
  perform pg_advisory_xact_lock(28549302371446899);
  recorded := clock_timestamp();
  select e."position", e.event_id into latest from events e order by e."position" desc limit 1;
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
    insert into events (event_id, stream_id, version, type, data, metadata, recorded_at)
    select n.event_id, n.stream_id, n.version, n.type, n.data, append_events_2.metadata[n.append], recorded
    from unnest(event_append, event_ids, event_streams, versions, types, append_events_2.data)
         with ordinality as n(append, event_id, stream_id, version, type, data, place)
    where n.append not in (select r.append from repeats r) and n.append not in (select l.append from late l)
    order by n.place
    returning events."position"
  )
  select null::integer, w."position", false, null::uuid, null::bigint, recorded, latest."position", latest.event_id from written w
  union all select r.append::integer, null, true, null, null, recorded, null, null from repeats r
  union all select l.append, null, false, l.stream_id, l.actual, recorded, null, null from late l;
end $$;
