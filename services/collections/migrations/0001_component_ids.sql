-- Component ids are unique on the whole platform, and this sequence is where they come from. Each value begins a block
-- of 1000 that one process hands out. They begin where no one takes them for a step's place in a list, and end below
-- 2^53, so that clients which read JSON numbers as doubles keep them exact.
create sequence if not exists component_ids as bigint
  start with 10000000000 increment by 1000 minvalue 10000000000 maxvalue 9007199254739000 no cycle;
