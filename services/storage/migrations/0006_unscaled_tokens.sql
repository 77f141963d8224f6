-- Tokens of published collections whose images may still need smaller copies: the consumer of collections' events adds
-- them with a publication, and a replica deletes each when its copies are recorded, or when it is certain that there will
-- be none. So what is left to be done costs the same however much was published before.
create table unscaled_tokens (
  collection_id uuid not null,
  number        bigint not null,
  gid           uuid not null,
  job_id        uuid not null,
  user_id       uuid not null, -- whose turn it is
  added_at      timestamptz not null default now(),
  not_before    timestamptz, -- null: it may be taken; else a replica has it, or it waits for another try, until then
  primary key (collection_id, number)
);
create index unscaled_tokens_to_take on unscaled_tokens (user_id, added_at, collection_id, number)
where not_before is null;
create index unscaled_tokens_by_time on unscaled_tokens (not_before) where not_before is not null;
-- All that is published already is looked at once. The publishers are not known here: the collections take turns.
insert into unscaled_tokens (collection_id, number, gid, job_id, user_id)
select c.collection_id, t.number, t.gid, c.job_id, c.collection_id
from published_collections c
join published_tokens t on t.collection_id = c.collection_id and t.number <= c.tokens
where c.has_renditions and c.job_id is not null;
