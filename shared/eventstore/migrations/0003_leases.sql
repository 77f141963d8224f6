-- One round of a process: what it holds is renewed, what it has given up is let go, what it wants and is free is taken.
--
-- A lease is free when it has expired by this server's clock (its holder is frozen, or can't reach us), or when no
-- session holds the advisory lock of its token (its holder has died, or has let it go). It is not taken while a
-- transaction of its holder goes on that has checked its token: see `fence`.
-- `locks_anew`: the session is a new one, and must lock what it holds. Answered are the leases that are held afterwards.
-- A holder also has the advisory lock of the bare name, which is all that release 0.1.0 knows of a lease: as long as one of its
-- processes leads, ours wait, and the other way round.
create function keep_leases(
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
      continue; -- somebody else is taking it, or its holder is in the middle of a transaction
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

-- In each transaction of a leader that must not happen once another one leads: fails with SQLSTATE EL001 then, and keeps
-- others from taking the lease until the transaction ends.
create function fence(lease text, held bigint) returns void language plpgsql as $$
begin
  perform pg_advisory_xact_lock_shared(hashtextextended('lease ' || lease, 0));
  -- A statement of its own: it sees what was committed while the one before waited.
  if not exists (select from leases l where l.name = lease and l.token = held) then
    raise exception 'the lease % is not held under token % any more', lease, held using errcode = 'EL001';
  end if;
end $$;

-- Whether nobody leads under a name: for who would take over what its holder has, and not the lease itself.
create function lease_is_free(lease text) returns boolean language sql as $$
  select not exists (
    select from leases l where l.name = lease and l.expires_at > clock_timestamp()
      and not pg_try_advisory_xact_lock(hashtextextended(l.name || ':' || l.token, 0)))
$$;
