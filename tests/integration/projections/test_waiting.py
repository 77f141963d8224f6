"""Waiters for a position need no queries of their own."""

import asyncio
import time
from uuid import uuid4

import psycopg

from shared.eventstore import EventStore
from shared.projections import Projector
from shared.projections.position_waiter import QUERY_EVERY
from tests.integration.eventstore.tally import context, counted
from tests.integration.projections.tables import ALL, projecting
from tests.support.patience import PATIENCE

WAITERS = 100
WAIT_SECONDS = 3.0
OTHERS = 40
"""Statements beside those of waiters: the store's own loops, this test's, autovacuum's."""
SELECT_COMMITS = "select xact_commit from pg_stat_database where datname = current_database()"
"""Outside of transactions, each statement is one."""


def commits(sql: psycopg.Connection) -> int:
    row = sql.execute(SELECT_COMMITS).fetchone()
    assert row is not None
    return int(row[0])


async def test_a_hundred_waiters_need_as_many_queries_as_one(store: EventStore, sql: psycopg.Connection) -> None:
    """One at intervals while the position is not reached; then all are woken."""
    projector = Projector(store, ALL)
    await projector.prepare()
    appended = await store.append(counted(uuid4(), 0, 1), context())
    began, before = time.monotonic(), commits(sql)
    waits = (projector.caught_up(appended.position, WAIT_SECONDS) for _ in range(WAITERS))
    assert not any(await asyncio.gather(*waits)), "no replica projects"
    looks = (time.monotonic() - began) / QUERY_EVERY + 1
    assert commits(sql) - before <= looks + OTHERS
    async with projecting(store) as other:
        assert all(await asyncio.gather(*(other.caught_up(appended.position, PATIENCE) for _ in range(WAITERS))))
