"""Replaces the keys and passwords of a stopped set; the next start uses the new ones."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from infra.embedded.keys import make_secrets_key, next_secrets_key, rotate_private_key
from infra.embedded.plan import KEYS
from infra.embedded.ports import PortPicker
from infra.embedded.postgres import SUPERUSER, PostgresServer
from infra.embedded.process import ProcessFailedError, running
from infra.embedded.set_file import LOGS, Secrets, write_private
from infra.embedded.set_lock import hold

if TYPE_CHECKING:
    import stamina

KINDS = ("tokens", "grants", "passwords", "secrets")
KEY_FILES = {"tokens": "issuer.jwk", "grants": "grants.jwk"}
PASSWORDS = ("nats/", "database/", "s3/")
"""Beginnings of the names of passwords that servers get at each start."""
NEXT = "postgres/next"
"""The superuser's new password until PostgreSQL has it."""
START_ATTEMPTS = 8
"""PostgreSQL does not start while a part of a killed server of the same cluster still ends."""


def rotate(data: Path, kinds: tuple[str, ...], *, revoke: bool) -> list[str]:
    """Replaces what `kinds` names, of KINDS. Interrupted, it can be repeated.

    `revoke`: what the old keys signed is refused from the next start on. Returns the names of the secrets whose values
    could not be read before either. Raises `SetError`, `SetInUseError` if the set runs.
    """
    unreadable: list[str] = []
    with hold(data):
        for kind, name in KEY_FILES.items():
            if kind in kinds:
                rotate_private_key(data / KEYS / name, revoke=revoke)
        if "secrets" in kinds:
            unreadable = _rotate_secrets_key(data)
        if "passwords" in kinds:
            secrets = Secrets(data)
            _rotate_superuser(data, secrets)
            secrets.remove(*(name for name in secrets.names() if name.startswith(PASSWORDS)))
            secrets.save()
    return unreadable


def _rotate_secrets_key(data: Path) -> list[str]:
    """Encrypts the values of secrets with a new key.

    The new key is in its file before the first value has it, and replaces the old one when all have it.
    """
    from services.generation.handlers.secret_rotation import reencrypt  # noqa: PLC0415 - only this rotation needs it
    from shared.eventstore.connections import connect_sync  # noqa: PLC0415 - as reencrypt

    key, following = data / KEYS / "secrets.key", next_secrets_key(data / KEYS / "secrets.key")
    if not key.exists():
        return []  # the set has never run
    if not following.exists():
        write_private(following, make_secrets_key())
    server = PostgresServer(data / "postgres", PortPicker().pick("postgres"), Secrets(data).get(SUPERUSER))
    unreadable: list[str] = []
    for attempt in _postgres_attempts():
        with (
            attempt,
            running(server.process(), data / LOGS),
            connect_sync(server.dsn("generation"), "rotation", autocommit=True) as connection,
        ):
            unreadable = reencrypt(connection, key.read_text(), following.read_text())
    following.replace(key)
    return unreadable


def _postgres_attempts() -> "Iterable[stamina.Attempt]":
    import stamina  # noqa: PLC0415 - only some rotations need it

    return stamina.retry_context(on=ProcessFailedError, attempts=START_ATTEMPTS, wait_max=2)


def _rotate_superuser(data: Path, secrets: Secrets) -> None:
    """Changes the superuser's password in PostgreSQL, which keeps it in its own data."""
    import psycopg  # noqa: PLC0415 - only this rotation needs it
    from psycopg import sql  # noqa: PLC0415 - as psycopg

    from shared.eventstore.connections import connect_sync  # noqa: PLC0415 - as psycopg

    current, following = secrets.get(SUPERUSER), secrets.get(NEXT)
    secrets.save()  # before PostgreSQL has it, so that an interrupted rotation can be repeated
    server = PostgresServer(data / "postgres", PortPicker().pick("postgres"), current)

    def connect() -> psycopg.Connection:
        try:
            return connect_sync(server.dsn(), "rotation", autocommit=True)
        except psycopg.OperationalError:  # an interrupted rotation has changed it already
            return connect_sync(server.dsn(password=following), "rotation", autocommit=True)

    process = replace(server.process(), ready=lambda: connect().close())
    statement = sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(SUPERUSER), sql.Literal(following))
    for attempt in _postgres_attempts():
        with attempt, running(process, data / LOGS), connect() as connection:
            connection.execute(statement)
    secrets.replace(SUPERUSER, following)
    secrets.remove(NEXT)
    secrets.save()
