-- How far storage has come with a package's last attempt, for its owner to look at: the consumer of storage's events
-- writes it.
create table package_progress (
  package_id uuid primary key,
  attempt    integer not null,
  phase      text not null,
  files      bigint not null,
  of_files   bigint not null,
  bytes      bigint not null,
  size       bigint not null,
  epoch      integer not null,
  version    bigint not null
);
