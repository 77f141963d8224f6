-- The lives of this store. One that was put back to an earlier moment begins another: positions after that moment are
-- used again, for other events, and whoever remembers positions must be able to tell. The epoch of a position is the
-- greatest one that began at or before it.
create table epochs (
  epoch          integer primary key,
  first_position bigint not null,
  started_at     timestamptz not null default clock_timestamp(),
  reason         text not null,
  details        jsonb not null default '{}',
  server         text -- on which server, timeline and database it was last seen: `store_server()`
);
insert into epochs (epoch, first_position, reason) values (1, 0, 'the store was made');

-- What changes when a backup is restored or a standby takes over, though the events may look the same.
create function store_server() returns text language sql as $$
  select system_identifier || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8) || '/' || oid
  from pg_control_system(), pg_database where datname = current_database()
$$;

-- Begins an epoch at `fork`, or behind the last event where that comes first. `known` is the highest epoch that the
-- caller has ever heard of; one that somebody else has begun since then, and that says as much, is answered instead.
create function begin_epoch(known integer, fork bigint, reason text, details jsonb)
returns table (epoch integer, first_position bigint, is_new boolean) language plpgsql as $$
declare
  latest epochs;
  head bigint;
begin
  perform pg_advisory_xact_lock(28549302371446899); -- no append at the same time: see append_events
  select e.* into latest from epochs e order by e.epoch desc limit 1;
  if latest.epoch > known and latest.first_position <= fork then
    return query select latest.epoch, latest.first_position, false;
    return;
  end if;
  select coalesce(max(e."position"), 0) into head from events e;
  return query
    insert into epochs as e (epoch, first_position, reason, details, server)
    values (greatest(latest.epoch, known) + 1, least(fork, head + 1), begin_epoch.reason, begin_epoch.details, store_server())
    returning e.epoch, e.first_position, true;
end $$;

-- Who leads what, until when. The token grows with each holder: what a transaction of an earlier one would still do is
-- refused by it.
create table leases (
  name       text primary key,
  token      bigint not null,
  holder     text not null,
  expires_at timestamptz not null,
  taken_at   timestamptz not null default clock_timestamp()
);
