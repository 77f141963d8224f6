"""Values of secrets: encrypted in a table, under the number that the newest `secret_set` has.

A value is stored before its event and deleted after it, so a crash between the two leaves a row that nothing refers to.
AES-256-GCM with the secret's name and number as associated data: a row can't stand for another one.
"""

import base64
import binascii
import os
from datetime import datetime
from typing import LiteralString

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from services.generation.deciders import SECRET
from services.generation.domain import secret
from services.generation.domain.secret import DeleteSecret, Secret, SetSecret, secret_id
from services.generation.domain.secret.commands import check_secret
from shared.contracts.problem import Problem
from shared.eventstore import Context, EventStore

KEY_BYTES, NONCE_BYTES = 32, 12

INSERT_VALUE: LiteralString = """
insert into secret_values (name, number, nonce, ciphertext, stored_at) values (%s, %s, %s, %s, clock_timestamp())
on conflict (name, number) do update set nonce = excluded.nonce, ciphertext = excluded.ciphertext"""
SELECT_VALUE: LiteralString = "select nonce, ciphertext from secret_values where name = %s and number = %s"
SELECT_STORED: LiteralString = "select name, number, stored_at from secret_values order by name, number"
DELETE_VALUES: LiteralString = "delete from secret_values where name = %s and number < %s"


class NoSecret(Exception):  # noqa: N818 - names what was not found
    """The secret is not set, or its value can't be read. The message says what to do, for users and operators."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


class SecretEntry(msgspec.Struct, frozen=True):
    name: str
    set_at: datetime


class Secrets:
    """`key`: EMPROPS_SECRETS_KEY, 32 bytes in base64."""

    def __init__(self, store: EventStore, key: str) -> None:
        """Raises ValueError for a key of another form; an empty one is a set without secrets."""
        self._store = store
        self._cipher = SecretCipher(key) if key else None

    async def set(self, name: str, value: str, context: Context) -> None:
        """Stores a value in the place of the one before. Raises Problem."""
        check_secret(name, value)
        number = (await self._state(name)).number + 1
        nonce, ciphertext = self._open_cipher().encrypted(name, number, value)
        async with self._store.pool.connection() as connection:
            await connection.execute(INSERT_VALUE, (name, number, nonce, ciphertext))
        command = SetSecret(name, number, context.actor or "")
        await self._store.handle(SECRET, secret_id(name), lambda state: secret.decide(command, state), context)
        await self._delete_before(name, number)

    async def delete(self, name: str, context: Context) -> None:
        """Raises Problem NOT_FOUND."""
        command = DeleteSecret(name, context.actor or "")
        handled = await self._store.handle(
            SECRET, secret_id(name), lambda state: secret.decide(command, state), context
        )
        await self._delete_before(name, handled.state.number + 1)

    async def names(self) -> list[SecretEntry]:
        """The secrets that are set, by name."""
        async with self._store.pool.connection() as connection:
            rows = await (await connection.execute(SELECT_STORED)).fetchall()
        return [
            SecretEntry(name, stored_at)
            for name, number, stored_at in rows
            if (state := await self._state(name)).is_set and state.number == number
        ]

    async def value(self, name: str) -> str:
        """Raises NoSecret."""
        state = await self._state(name)
        if not state.is_set:
            raise NoSecret("SECRET_MISSING", f"The secret {name} is not set. To set it: emprops secrets set {name}")
        async with self._store.pool.connection() as connection:
            row = await (await connection.execute(SELECT_VALUE, (name, state.number))).fetchone()
        message = f"The value of the secret {name} can't be read. To set it again: emprops secrets set {name}"
        unreadable = NoSecret("SECRET_UNREADABLE", message)
        if row is None or self._cipher is None:
            raise unreadable
        decrypted = self._cipher.decrypted(name, state.number, *row)
        if decrypted is None:
            raise unreadable
        return decrypted

    def _open_cipher(self) -> "SecretCipher":
        if self._cipher is None:
            raise Problem("UNAVAILABLE", "The service has no EMPROPS_SECRETS_KEY, so it can't keep secrets")
        return self._cipher

    async def _state(self, name: str) -> Secret:
        return (await self._store.load(SECRET, secret_id(name))).state

    async def _delete_before(self, name: str, number: int) -> None:
        async with self._store.pool.connection() as connection:
            await connection.execute(DELETE_VALUES, (name, number))


class SecretCipher:
    """Encrypts and decrypts values with one key: 32 bytes in base64. Raises ValueError for a key of another form."""

    def __init__(self, key: str) -> None:
        self._cipher = AESGCM(_decoded(key))

    def encrypted(self, name: str, number: int, value: str) -> tuple[bytes, bytes]:
        """Nonce and ciphertext."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce, self._cipher.encrypt(nonce, value.encode(), _associated(name, number))

    def decrypted(self, name: str, number: int, nonce: bytes, ciphertext: bytes) -> str | None:
        """None if it was encrypted with another key, or for another secret."""
        try:
            return self._cipher.decrypt(nonce, ciphertext, _associated(name, number)).decode()
        except InvalidTag:
            return None


def _decoded(key: str) -> bytes:
    try:
        decoded = base64.b64decode(key, validate=True)
    except binascii.Error:
        decoded = b""
    if len(decoded) != KEY_BYTES:
        raise ValueError("EMPROPS_SECRETS_KEY must be 32 bytes in base64")
    return decoded


def _associated(name: str, number: int) -> bytes:
    return f"{name}:{number}".encode()
