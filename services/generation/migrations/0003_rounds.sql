-- A job that is resumed is open once more: the deletion of its last round must not delete the row of the next one.
alter table open_jobs add column round integer not null default 0;
