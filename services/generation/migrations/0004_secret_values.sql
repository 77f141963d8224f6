-- The values of secrets, encrypted with EMPROPS_SECRETS_KEY: never in an event, and so in no message and no read table.
-- `number` is that of the `secret_set` event that a value belongs to.
create table secret_values (
  name       text not null,
  number     integer not null,
  nonce      bytea not null,
  ciphertext bytea not null,
  stored_at  timestamptz not null,
  primary key (name, number)
);
