-- Marks name the life of their owner's store, and where in the stream they were found. What is there already is of the
-- first one; the release before writes neither, and reads its own columns. (It reads `*` from `parked`, which must
-- therefore not change: parked events have their epoch beside their headers.)
alter table consumed add column epoch integer not null default 1;
alter table consumed add column event_id uuid;
alter table consumed add column sequence bigint;
