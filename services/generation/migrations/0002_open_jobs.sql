-- The jobs that are not over, and how many of their generations have been started: what the process that starts them
-- goes on from. It is no read table, for that may be behind, and a job that is left out would never begin. `started` may
-- be a little behind what was recorded: a generation that is started again is not recorded again.
create table open_jobs (
  job_id   uuid primary key,
  user_id  uuid not null,
  total    integer not null,
  started  integer not null,
  priority integer not null,
  position bigint not null, -- of its job_authorized, and so the order in which the jobs came
  event_id uuid not null,   -- of that event: what causes its starts
  context  bytea not null   -- that event's metadata
);

-- What the release before has parked is for the process that replaces its own.
update parked set consumer = 'start-generations-v2' where consumer = 'start-generations-v1';
