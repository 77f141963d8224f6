"""Replaces the keys and passwords of a stopped set; the next start uses the new ones."""

from dataclasses import replace
from pathlib import Path

from infra.embedded.keys import rotate_private_key
from infra.embedded.plan import KEYS
from infra.embedded.ports import PortPicker
from infra.embedded.postgres import SUPERUSER, PostgresServer
from infra.embedded.process import ProcessFailedError, running
from infra.embedded.set_file import LOGS, Secrets
from infra.embedded.set_lock import hold

KINDS = ("tokens", "grants", "passwords")
KEY_FILES = {"tokens": "issuer.jwk", "grants": "grants.jwk"}
PASSWORDS = ("nats/", "database/", "s3/")
"""Beginnings of the names of passwords that servers get at each start."""
NEXT = "postgres/next"
"""The superuser's new password until PostgreSQL has it."""
START_ATTEMPTS = 8
"""PostgreSQL does not start while a part of a killed server of the same cluster still ends."""


def rotate(data: Path, kinds: tuple[str, ...], *, revoke: bool) -> None:
    """Replaces what `kinds` names, of KINDS. Interrupted, it can be repeated.

    `revoke`: what the old keys signed is refused from the next start on. Raises `SetError`, `SetInUseError` if the set
    runs.
    """
    with hold(data):
        for kind, name in KEY_FILES.items():
            if kind in kinds:
                rotate_private_key(data / KEYS / name, revoke=revoke)
        if "passwords" in kinds:
            secrets = Secrets(data)
            _rotate_superuser(data, secrets)
            secrets.remove(*(name for name in secrets.names() if name.startswith(PASSWORDS)))
            secrets.save()


def _rotate_superuser(data: Path, secrets: Secrets) -> None:
    """Changes the superuser's password in PostgreSQL, which keeps it in its own data."""
    import psycopg  # noqa: PLC0415 - only this rotation needs it
    import stamina  # noqa: PLC0415 - as psycopg
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
    for attempt in stamina.retry_context(on=ProcessFailedError, attempts=START_ATTEMPTS, wait_max=2):
        with attempt, running(process, data / LOGS), connect() as connection:
            connection.execute(statement)
    secrets.replace(SUPERUSER, following)
    secrets.remove(NEXT)
    secrets.save()
