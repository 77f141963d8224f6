-- What the projector knows of each read table. `heartbeat_at` is written while it runs, busy or idle, so that a dead
-- projector shows as dead and not as a lag of 0.
create table if not exists projections (
  name         text primary key,
  version      integer not null,
  position     bigint not null default 0,
  heartbeat_at timestamptz not null default clock_timestamp(),
  leader       text not null default ''
);
