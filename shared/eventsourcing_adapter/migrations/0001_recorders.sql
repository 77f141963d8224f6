-- What the `eventsourcing` library keeps beside its events, which go to the event store's own table.

create table if not exists recorder_snapshots (
  originator_id      uuid not null,
  originator_version bigint not null,
  topic              text not null,
  state              bytea not null,
  primary key (originator_id, originator_version)
);

-- How far `follower` (an application or a projection of the library) has come in another application's notifications.
create table if not exists recorder_tracking (
  follower         text not null,
  application_name text not null,
  notification_id  bigint not null,
  primary key (follower, application_name)
);
