"""Numbered migrations: the tables and functions of a service's database, brought up to this release when it starts.

Each schema (`Schema`: the store, messaging, a service's own, …) is a folder of numbered SQL files and a version table
`<name>_migrations` that says which of them were applied. `yoyo` reads, orders, runs and marks them; but not under its
own lock, which is a row that a killed process leaves behind, and not in its own two transactions, between which a
killed process leaves a migration applied and not marked. Here the lock is an advisory one, which PostgreSQL frees by
itself, and a migration is applied and marked in one transaction.

A migration must not stop commands and queries: when it has waited `LOCK_TIMEOUT` for a table, it gives up, so that the
others need not queue behind it for longer, and tries again later. README.md of shared/eventstore/migrations says what a
migration may contain.
"""

import asyncio
import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
from yoyo import internalmigrations, read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from shared.backoff import Backoff
from shared.eventstore.connections import LONG, parameters, within_sync

PATIENCE = 60.0
"""Seconds for which migrations are tried again that find their tables locked, or no free moment of the server, before
the service's start fails."""
LOCK_TIMEOUT = 0.5
"""Seconds that a migration waits for a lock; later queries on the table queue behind it for as long."""
STATEMENT_TIMEOUT = 15
"""Seconds that a statement of a migration may take."""
LOOKS_WITHIN, APPLIES_WITHIN = 20.0, 120.0
"""Seconds that the server may be silent while missing migrations are looked up, and while one is applied."""
ONLINE_TIMEOUT = 3600
"""Seconds that a statement outside of a transaction may take or wait: it stops no other query."""

TRY_LOCK_MIGRATIONS = "select pg_try_advisory_lock(hashtext('migrate'))"
"""One for all schemas of a database; the same that releases without version tables take."""
LOCK_MIGRATIONS = "select pg_advisory_xact_lock(hashtext('migrate'))"
"""The same lock until the transaction ends, for those who create or drop tables of their own."""


class Schema(NamedTuple):
    """A folder of migrations; `name` is a part of its version table's name, so it must never change."""

    name: str
    folder: Path

    @property
    def version_table(self) -> str:
        return f"{self.name}_migrations"


class Busy(Exception):  # noqa: N818 - a state of the database, not a fault
    """Another process is migrating this database."""


BLOCKED = (
    Busy,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.ConnectionTimeout,  # of a server that is busy; one that is down refuses
)
"""Errors that may not come again at the next try."""


async def migrate(dsn: str, *schemas: Schema) -> None:
    """Applies the missing migrations; replicas that start at the same time don't collide.

    Raises Busy or psycopg's LockNotAvailable when the tables were in use for too long, psycopg's ConnectionTimeout when
    the server was busy for as long, and psycopg.Error.
    """
    backoff = Backoff("migrations", on=BLOCKED, longest=5.0)
    await backoff.call(lambda: asyncio.to_thread(apply_migrations, dsn, schemas), timeout=PATIENCE)


def apply_migrations(dsn: str, schemas: Sequence[Schema]) -> None:
    """One try, for callers without an event loop."""
    for schema in schemas:
        with _opened(dsn, schema) as backend:
            wanted = read_migrations(glob.escape(str(schema.folder)))
            with within_sync(LOOKS_WITHIN, backend.connection):
                if backend.migration_table in backend.list_tables() and not backend.to_apply(wanted):
                    continue
                (is_free,) = backend.execute(TRY_LOCK_MIGRATIONS).fetchone()
                if not is_free:
                    raise Busy("another process is migrating this database")
                _make_version_table(backend)
                missing = backend.to_apply(wanted)
            for migration in missing:
                migration.load()
                if migration.use_transactions:
                    with within_sync(APPLIES_WITHIN, backend.connection), backend.transaction():
                        migration.process_steps(backend, "apply")
                        backend.mark_one(migration, log=False)
                else:
                    _set_timeouts(backend, lock=ONLINE_TIMEOUT, statement=ONLINE_TIMEOUT)
                    migration.process_steps(backend, "apply")
                    _set_timeouts(backend)
                    with backend.transaction():
                        backend.mark_one(migration, log=False)


@contextmanager
def _opened(dsn: str, schema: Schema) -> Iterator[PostgresqlPsycopgBackend]:
    """Connects with what libpq reads from the connection string, whatever its form."""
    given = {name: str(value) for name, value in parameters(dsn, "migrations", LONG).items()}
    database = given.pop("dbname", None)
    uri = DatabaseURI("postgresql+psycopg", None, None, None, None, database, given)
    with PostgresqlPsycopgBackend(uri, schema.version_table) as backend:
        with within_sync(LOOKS_WITHIN, backend.connection):
            _set_timeouts(backend)
        yield backend


def _set_timeouts(
    backend: PostgresqlPsycopgBackend, *, lock: float = LOCK_TIMEOUT, statement: float = STATEMENT_TIMEOUT
) -> None:
    backend.execute(f"set lock_timeout = {lock * 1000:.0f}")
    backend.execute(f"set statement_timeout = {statement * 1000:.0f}")
    backend.execute("set idle_in_transaction_session_timeout = '30 s'")
    backend.execute("set client_connection_check_interval = '1 s'")  # a killed process leaves nothing running


def _make_version_table(backend: PostgresqlPsycopgBackend) -> None:
    """Creates it in `yoyo`'s form, so that its commands can read it; yoyo's own tables are shared by all schemas."""
    tables = backend.list_tables()
    if backend.version_table not in tables:
        internalmigrations.upgrade(backend)
    elif backend.migration_table not in tables:
        internalmigrations.v2.create_migration_table(backend)
