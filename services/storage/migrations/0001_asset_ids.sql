-- Asset ids are integers that every JSON reader holds exactly: below 2^53. A process takes them in blocks of 64.
create sequence if not exists asset_ids as bigint increment by 64 minvalue 1 maxvalue 9007199254740928 no cycle;
