"""Numbered migrations: they bring the tables and functions of a service's database to this release when it starts.

Each schema (`Schema`: the store, messaging, a service's own, …) is a folder of numbered SQL files and a version table
`<name>_migrations` of the applied ones. `yoyo` reads, orders, runs and marks them. Two parts of it are replaced: its
lock is a row that a killed process leaves behind, so here the lock is an advisory one, which PostgreSQL releases; and
it applies and marks a migration in two transactions, so that a killed process may leave one applied and unmarked, so
here both are one transaction.

A migration must not stop commands and queries: when it has waited `LOCK_TIMEOUT` for a table, it gives up, since later
queries queue behind it, and tries again later. shared/eventstore/migrations/README.md says what a migration may
contain.
"""

import asyncio
import glob
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psycopg
import structlog
from psycopg import sql
from yoyo import internalmigrations, read_migrations
from yoyo.backends.core.postgresql import PostgresqlPsycopgBackend
from yoyo.connections import DatabaseURI

from shared.backoff import Backoff
from shared.eventstore.connections import LONG, connect_sync, parameters, within_sync

log = structlog.get_logger()
logging.getLogger("yoyo.migrations").setLevel(logging.WARNING)  # it logs each statement, without its file's name

PATIENCE = 60.0
"""Seconds for which blocked migrations, and connecting to a busy server, are retried before the start fails."""
LOCK_TIMEOUT = 0.5
"""Seconds that a migration waits for a lock; later queries on the table queue behind it for as long."""
STATEMENT_TIMEOUT = 15
"""Seconds that a statement of a migration may take."""
LOOK_UP_WITHIN, APPLY_WITHIN = 20.0, 120.0
"""Seconds that the server may be silent while missing migrations are looked up, and while one is applied."""
ONLINE_TIMEOUT = 3600
"""Seconds that a statement outside of a transaction may take or wait for locks: it blocks no other query."""

VERSION_TABLES = "select tablename from pg_tables where schemaname = current_schema and tablename = any(%s)"
TRY_LOCK_MIGRATIONS = "select pg_try_advisory_lock(hashtext('migrate'))"
"""One lock for all schemas of a database; releases without version tables use the same one."""
LOCK_MIGRATIONS = "select pg_advisory_xact_lock(hashtext('migrate'))"
"""The same lock until the transaction ends, for code that creates or drops tables at run time."""


class Schema(NamedTuple):
    """A folder of migrations; `name` is a part of its version table's name, so it must never change."""

    name: str
    folder: Path

    @property
    def version_table(self) -> str:
        """The table of the migrations that have been applied."""
        return f"{self.name}_migrations"


class Busy(Exception):  # noqa: N818 - a state of the database, not a fault
    """Another process is migrating this database."""


BLOCKED = (
    Busy,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.ConnectionTimeout,  # of a busy server; one that is down refuses the connection
)
"""Errors that may not recur at the next try."""


async def migrate(dsn: str, *schemas: Schema) -> None:
    """Applies the missing migrations; replicas may start at the same time.

    Raises Busy, or psycopg's LockNotAvailable, DeadlockDetected or ConnectionTimeout, when one of these recurred for
    PATIENCE seconds; any other psycopg.Error at once.
    """
    backoff = Backoff("migrations", on=BLOCKED, longest=5.0)
    await backoff.call(lambda: asyncio.to_thread(apply_migrations, dsn, schemas), timeout=PATIENCE)


def apply_migrations(dsn: str, schemas: Sequence[Schema]) -> None:
    """`migrate` without retries, for callers without an event loop."""
    for schema in _incomplete(dsn, schemas):
        with _opened(dsn, schema) as backend:
            migrations = read_migrations(glob.escape(str(schema.folder)))
            with within_sync(LOOK_UP_WITHIN, backend.connection):
                if backend.migration_table in backend.list_tables() and not backend.to_apply(migrations):
                    continue
                (is_free,) = backend.execute(TRY_LOCK_MIGRATIONS).fetchone()
                if not is_free:
                    raise Busy("another process is migrating this database")
                _make_version_table(backend)
                missing = backend.to_apply(migrations)
            for migration in missing:
                migration.load()
                if migration.use_transactions:
                    with within_sync(APPLY_WITHIN, backend.connection), backend.transaction():
                        migration.process_steps(backend, "apply")
                        backend.mark_one(migration, log=False)
                else:
                    _set_timeouts(backend, lock=ONLINE_TIMEOUT, statement=ONLINE_TIMEOUT)
                    migration.process_steps(backend, "apply")
                    _set_timeouts(backend)
                    with backend.transaction():
                        backend.mark_one(migration, log=False)
            log.info("migrated", schema=schema.name, migrations=[migration.id for migration in missing])


def _incomplete(dsn: str, schemas: Sequence[Schema]) -> list[Schema]:
    """The schemas of which a migration is missing. Nearly every start has none: `yoyo` would look ten times as long."""
    with (
        connect_sync(dsn, "migrations", LONG, autocommit=True) as connection,
        within_sync(LOOK_UP_WITHIN, connection),
    ):
        tables = connection.execute(VERSION_TABLES, ([schema.version_table for schema in schemas],)).fetchall()
        present = [schema for schema in schemas if (schema.version_table,) in tables]
        queries = [
            sql.SQL("select {}, migration_id from {}").format(schema.name, sql.Identifier(schema.version_table))
            for schema in present
        ]
        applied = connection.execute(sql.SQL(" union all ").join(queries)).fetchall() if queries else []
    return [
        schema
        for schema in schemas
        if schema not in present or any((schema.name, file.stem) not in applied for file in schema.folder.glob("*.sql"))
    ]


@contextmanager
def _opened(dsn: str, schema: Schema) -> Iterator[PostgresqlPsycopgBackend]:
    """Connects as libpq does for this connection string: yoyo itself accepts only URLs."""
    settings = {name: str(value) for name, value in parameters(dsn, "migrations", LONG).items()}
    database = settings.pop("dbname", None)
    uri = DatabaseURI("postgresql+psycopg", None, None, None, None, database, settings)
    with PostgresqlPsycopgBackend(uri, schema.version_table) as backend:
        with within_sync(LOOK_UP_WITHIN, backend.connection):
            _set_timeouts(backend)
        yield backend


def _set_timeouts(
    backend: PostgresqlPsycopgBackend, *, lock: float = LOCK_TIMEOUT, statement: float = STATEMENT_TIMEOUT
) -> None:
    backend.execute(f"set lock_timeout = {lock * 1000:.0f}")
    backend.execute(f"set statement_timeout = {statement * 1000:.0f}")
    backend.execute("set idle_in_transaction_session_timeout = '30 s'")
    backend.execute("set client_connection_check_interval = '1 s'")  # so that no statement of a killed process goes on


def _make_version_table(backend: PostgresqlPsycopgBackend) -> None:
    """Creates it as `yoyo` does, so that its commands can read it, and yoyo's tables that all schemas share."""
    tables = backend.list_tables()
    if backend.version_table not in tables:
        internalmigrations.upgrade(backend)
    elif backend.migration_table not in tables:
        internalmigrations.v2.create_migration_table(backend)
