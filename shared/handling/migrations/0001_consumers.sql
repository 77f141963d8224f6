-- Tables of the consumers of a service, in its own database. Every statement repeats safely: databases of the first
-- releases have all of this already.

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
