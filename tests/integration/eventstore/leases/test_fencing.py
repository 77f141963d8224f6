"""Fencing: writes of a holder that has lost its lease are rejected, also in the middle of a transaction."""

import asyncio
import contextlib
import sys
import time

import psycopg
import pytest

from shared.eventstore import EventStore
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.connections import LONG, connect
from shared.eventstore.lease import Fenced, Lease
from shared.stopping import stop
from tests.integration.eventstore.leases.leasing import TTL, Start, count, leader
from tests.integration.eventstore.tally import CODEC
from tests.support.patience import eventually
from tests.support.silence import frozen


async def test_a_holder_that_was_frozen_is_fenced(database: str, start: Start, sql: psycopg.Connection) -> None:
    """It was frozen for longer than its lease lasts: its next transaction is rejected."""
    first = await leader(start("a").wants("x"))
    lease = first.leads["x"]
    async with await connect(database, "test") as frozen:
        sql.execute("update leases set expires_at = clock_timestamp() - interval '1 second', token = token + 1")
        with pytest.raises(Fenced):
            await lease.fence(frozen)
    assert lease.lost.is_set()
    await eventually(lambda: first.leads.get("x") is not lease, "its work was stopped")


async def test_no_replica_takes_over_during_a_fenced_transaction(
    database: str, start: Start, sql: psycopg.Connection
) -> None:
    """The next leader acquires the lease after the commit, and sees what was committed."""
    first = await leader(start("a", ttl=60).wants("x"))
    async with await connect(database, "test") as connection:
        await first.leads["x"].fence(connection)
        await stop(*first.tasks)
        second = start("b").wants("x")
        await asyncio.sleep(2 * TTL)  # the lease has expired by then: nothing must happen
        assert not second.leads
        await connection.commit()
        await leader(second)


@pytest.mark.parametrize("in_the_middle_of", ["statements", "a COPY", "a pipeline"])
async def test_a_transaction_ends_with_its_lease(
    database: str, start: Start, sql: psycopg.Connection, in_the_middle_of: str
) -> None:
    """No timeout of the server covers a COPY and a pipeline, too: a stopped client would keep its locks."""
    sql.execute("create table written (token bigint)")
    first = await leader(start("a").wants("x"))
    lease = first.leads["x"]
    async with await connect(database, "test", LONG) as connection, contextlib.AsyncExitStack() as middle:
        await lease.fence(connection)
        if in_the_middle_of == "a COPY":
            copy = await middle.enter_async_context(connection.cursor().copy("copy written from stdin"))
            await copy.write_row((lease.token,))
        elif in_the_middle_of == "a pipeline":
            await middle.enter_async_context(connection.pipeline())
            await connection.execute("insert into written values (%s)", (lease.token,))
            connection.pgconn.send_flush_request()
            connection.pgconn.flush()
        await stop(*first.tasks)
        second = await leader(start("b").wants("x"))
        assert second.leads["x"].token == lease.token + 1

        async def go_on() -> None:
            await middle.aclose()
            await connection.execute("insert into written values (%s)", (lease.token,))
            await connection.commit()

        with pytest.raises(psycopg.OperationalError):
            await go_on()
    assert count(sql, "select count(*) from written") == 0


async def test_checkpoints_are_fenced(database: str, start: Start) -> None:
    first = await leader(start("a").wants("x"))
    lease = first.leads["x"]
    async with EventStore.open(database, CODEC) as store:
        await set_checkpoint(store, "x", 5, lease)
        assert await checkpoint(store, "x") == 5
        with pytest.raises(Fenced):
            await set_checkpoint(store, "x", 6, Lease("x", lease.token - 1))
        assert await checkpoint(store, "x") == 5


async def test_a_stopped_process_writes_nothing_when_it_continues(
    database: str, start: Start, sql: psycopg.Connection
) -> None:
    """It is replaced within its lease's TTL."""
    sql.execute("create table written (id bigserial primary key, who text, token bigint)")
    command = (sys.executable, "-m", "tests.integration.eventstore.leading_process", database)
    first = await asyncio.create_subprocess_exec(*command, "first", str(TTL))

    def count(who: str) -> int:
        row = sql.execute("select count(*) from written where who = %s", (who,)).fetchone()
        return row[0] if row else 0

    try:
        await eventually(lambda: count("first") > 20, "the first writes")
        with frozen(first.pid):
            began = time.monotonic()
            second = await asyncio.create_subprocess_exec(*command, "second", str(TTL))
            await eventually(lambda: count("second") > 20, "the second writes")
            took = time.monotonic() - began
            before = count("first")
        await asyncio.sleep(2 * TTL)  # the first runs again: it must write nothing
        assert count("first") == before
        assert took < TTL + 15  # its start is most of it, and what else the machine does
    finally:
        for process in (first, second):
            process.terminate()
            await process.wait()
    tokens = [row[0] for row in sql.execute("select token from written order by id")]
    assert tokens == sorted(tokens)
