-- Tells the followers of this database when an operator wants a parked event tried again, so that they need not look for it
-- at intervals. The name alone is a signal: see Watermarks.count. Releases before pass over it, and look at intervals.
create or replace function signal_retrying() returns trigger language plpgsql as $$
begin
  perform pg_notify('watermarks', 'retrying');
  return null;
end $$;
create or replace trigger parked_signal_retrying after update of status on parked
  for each row when (new.status = 'retrying' and old.status is distinct from new.status) execute function signal_retrying();
