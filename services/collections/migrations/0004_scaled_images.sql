-- What storage has told of the smaller copies of each image: its event, as JSON.
create table scaled_images (
  asset_id bigint primary key,
  scaled   text not null
);
