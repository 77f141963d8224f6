-- What operators are told of work that waits: since when, and how often it was tried in vain.
alter table unscaled_tokens add column tries integer not null default 0;
create index unscaled_tokens_by_age on unscaled_tokens (added_at);
create index unscaled_tokens_tried on unscaled_tokens (added_at) where tries > 0;
alter table package_builds add column added_at timestamptz not null default now();
