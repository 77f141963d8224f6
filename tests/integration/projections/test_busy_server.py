"""A server that is too busy to accept a connection in time, when a projector starts."""

import asyncio
from urllib.parse import urlsplit

import psycopg
import pytest

from shared.eventstore import EventStore, Schema
from shared.projections import Projector, projector
from tests.integration.projections.tables import ALL
from tests.support.patience import eventually
from tests.support.silence import SilentProxy


async def test_tables_are_created_once_it_accepts_a_connection(
    store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The start is not given up at the first one that was not accepted."""
    migrate, server = projector.migrate, urlsplit(store.dsn)
    with SilentProxy((server.hostname or "", server.port or 0)) as proxy:

        async def silent_afterwards(dsn: str, *schemas: Schema) -> None:
            await migrate(dsn, *schemas)
            proxy.mode = "silent"

        monkeypatch.setattr(projector, "migrate", silent_afterwards)
        netloc = f"{server.netloc.rpartition('@')[0]}@{proxy.address}"
        store.dsn = f"{server._replace(netloc=netloc).geturl()}?connect_timeout=2"
        preparing = asyncio.create_task(Projector(store, ALL).prepare())
        await eventually(lambda: proxy.mode == "silent", "the migrations to be applied")
        before = proxy.connections
        await eventually(lambda: preparing.done() or proxy.connections > before + 1, "another connection to be tried")
        proxy.mode = "pass"
        await preparing
    tables = "select count(*) from pg_tables where tablename = any(%s)"
    assert sql.execute(tables, ([projection.table for projection in ALL],)).fetchone() == (len(ALL),)
