-- A lease that has expired is taken though a transaction of its holder goes on: that session is ended, and the transaction
-- with it. Before, it was waited for, and no timeout of the server ends every transaction of a client that stands still:
-- `idle_in_transaction_session_timeout` counts neither in a COPY nor in a pipeline.

-- Ends the sessions whose transactions have checked a lease (`fence`), and answers how many there were.
create function end_fenced(lease text) returns bigint language sql as $$
  select count(pg_terminate_backend(pid))
  from pg_locks, hashtextextended('lease ' || lease, 0) as key
  where locktype = 'advisory' and mode = 'ShareLock' and granted
    and database = (select oid from pg_database where datname = current_database())
    and classid::bigint = (key >> 32) & 4294967295 and objid::bigint = key & 4294967295 and objsubid = 1
$$;

create or replace function keep_leases(
  held text[], tokens bigint[], locks_anew boolean, given_up text[], given_up_tokens bigint[],
  wanted text[], holder text, lasts interval
) returns table (name text, token bigint) language plpgsql as $$
declare
  each text;
  known leases;
begin
  perform pg_advisory_unlock(hashtextextended(g.name || ':' || g.token, 0)), pg_advisory_unlock(hashtextextended(g.name, 0))
  from unnest(given_up, given_up_tokens) as g(name, token);
  if cardinality(held) > 0 then
    return query
      update leases l set expires_at = clock_timestamp() + lasts
      from unnest(held, tokens) as mine(name, token)
      where l.name = mine.name and l.token = mine.token
      returning l.name, l.token;
    if locks_anew then
      perform pg_try_advisory_lock(hashtextextended(l.name || ':' || l.token, 0)), pg_try_advisory_lock(hashtextextended(l.name, 0))
      from leases l where (l.name, l.token) in (select * from unnest(held, tokens));
    end if;
  end if;
  foreach each in array wanted loop
    if not pg_try_advisory_xact_lock(hashtextextended('lease ' || each, 0)) then
      -- Another process is taking it, or its holder is in the middle of a transaction. A second is for one that ends.
      if exists (select from leases l where l.name = each and l.expires_at < clock_timestamp() - interval '1 second') then
        perform end_fenced(each);
      end if;
      continue;
    end if;
    select l.* into known from leases l where l.name = each;
    if found and not pg_try_advisory_lock(hashtextextended(each || ':' || known.token, 0)) then
      if known.expires_at > clock_timestamp() then
        continue;
      end if;
    else
      if found then
        perform pg_advisory_unlock(hashtextextended(each || ':' || known.token, 0)); -- it was free, which is all we ask
      end if;
      if not pg_try_advisory_lock(hashtextextended(each, 0)) then
        continue; -- a process of release 0.1.0 leads
      end if;
    end if;
    return query
      insert into leases as l (name, token, holder, expires_at) values (each, 1, keep_leases.holder, clock_timestamp() + lasts)
      on conflict on constraint leases_pkey do update
      set token = l.token + 1, holder = excluded.holder, expires_at = excluded.expires_at, taken_at = clock_timestamp()
      where l.token = known.token
      returning l.name, l.token;
    if found then
      perform pg_try_advisory_lock(hashtextextended(l.name || ':' || l.token, 0)) from leases l where l.name = each;
    end if;
  end loop;
end $$;
