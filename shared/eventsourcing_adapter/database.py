"""The recorders' connections to PostgreSQL, and the translation of its errors into the library's."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import stamina
from eventsourcing import persistence
from psycopg_pool import ConnectionPool

from shared.eventstore import store
from shared.eventstore.connections import WORK, parameters, within_sync
from shared.eventstore.migrate import BLOCKED, PATIENCE, Schema, apply_migrations

CONNECTIONS = 10
SCHEMA = Schema("recorders", Path(__file__).parent / "migrations")

ERRORS: dict[type, type[persistence.PersistenceError]] = {
    psycopg.InterfaceError: persistence.InterfaceError,
    psycopg.OperationalError: persistence.OperationalError,
    psycopg.DataError: persistence.DataError,
    psycopg.IntegrityError: persistence.IntegrityError,
    psycopg.InternalError: persistence.InternalError,
    psycopg.ProgrammingError: persistence.ProgrammingError,
    psycopg.NotSupportedError: persistence.NotSupportedError,
    psycopg.DatabaseError: persistence.DatabaseError,
    psycopg.Error: persistence.PersistenceError,
}
"""psycopg's exceptions and the library's; both follow PEP 249."""

ANSWERS_WITHIN = 30.0
"""Seconds that a block on one connection may take."""
TRANSIENT_ERRORS = (persistence.InterfaceError, persistence.OperationalError)
"""Errors that may not recur when the call is repeated."""


class Database:
    """A pool of connections, opened when first used. Its errors are the library's."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._pool = ConnectionPool(
            min_size=1,
            max_size=CONNECTIONS,
            open=False,
            timeout=10,
            kwargs={"prepare_threshold": 0, **parameters(dsn, "recorder", WORK)},
        )

    def create_tables(self) -> None:
        """Creates or migrates the event store's tables and the recorders' own."""
        with library_errors():
            for attempt in stamina.retry_context(on=BLOCKED, timeout=PATIENCE, attempts=None):
                with attempt:
                    apply_migrations(self.dsn, [store.SCHEMA, SCHEMA])

    @contextlib.contextmanager
    def connection(self) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
        """A connection in a transaction, committed when the block ends, rolled back when it raises."""
        with library_errors():
            self._pool.open()
            with self._pool.connection() as connection, within_sync(ANSWERS_WITHIN, connection):
                yield connection

    def close(self) -> None:
        """Closes the pool; connections that are in use are closed when they are returned."""
        self._pool.close()


@contextlib.contextmanager
def library_errors() -> Iterator[None]:
    """Turns psycopg's errors into the library's, for a block."""
    try:
        yield
    except psycopg.Error as error:
        name = next(base for base in type(error).__mro__ if base in ERRORS)
        raise ERRORS[name](str(error)) from error
