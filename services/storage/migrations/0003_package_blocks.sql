-- Every publish package that was built: a row is written after its blocks' rows, so those of a package with a row are
-- complete. A draft's package has no blocks here.
create table packages (
  asset_id      bigint primary key,
  collection_id uuid not null,
  path          text not null,
  is_published  boolean not null
);
-- Where each block of a published package is in its CAR file.
create table package_blocks (
  cid      bytea not null,
  asset_id bigint not null,
  place    bigint not null,
  length   integer not null,
  primary key (cid, asset_id)
);
