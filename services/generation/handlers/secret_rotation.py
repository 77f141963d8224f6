"""Replaces the key of the values of secrets: all of them in one transaction, while the service is stopped."""

from typing import Any, LiteralString

import psycopg

from services.generation.handlers.secrets import SecretCipher

SELECT_VALUES: LiteralString = "select name, number, nonce, ciphertext from secret_values order by name, number"
UPDATE_VALUE: LiteralString = "update secret_values set nonce = %s, ciphertext = %s where name = %s and number = %s"
SELECT_TABLE: LiteralString = "select to_regclass('secret_values') is not null"


def reencrypt(connection: "psycopg.Connection[tuple[Any, ...]]", old_key: str, new_key: str) -> list[str]:
    """Encrypts with the new key what the old one decrypts. Idempotent: what the new key decrypts already is left.

    Returns the names whose values neither key decrypts; they stay as they are. Raises ValueError for what is no key.
    """
    old, new, unreadable = SecretCipher(old_key), SecretCipher(new_key), []
    with connection.transaction():
        [(exists,)] = connection.execute(SELECT_TABLE).fetchall()
        rows = connection.execute(SELECT_VALUES).fetchall() if exists else []
        for name, number, nonce, ciphertext in rows:
            if new.decrypted(name, number, nonce, ciphertext) is not None:
                continue
            value = old.decrypted(name, number, nonce, ciphertext)
            if value is None:
                unreadable.append(name)
                continue
            connection.execute(UPDATE_VALUE, (*new.encrypted(name, number, value), name, number))
    return unreadable
