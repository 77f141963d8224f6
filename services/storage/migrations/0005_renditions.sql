-- Whether the metadata of a published collection names smaller copies of its tokens' images, which storage then makes.
alter table published_collections add column has_renditions boolean not null default false;
