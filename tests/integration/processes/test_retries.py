"""Operators retry parked events of a process: the event is read from the store again, if it still has it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import LiteralString
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.compressor import ZlibCompressor
from psycopg import AsyncConnection

from shared.eventstore import EventStore, Seal
from shared.handling import operator_actions, parking
from shared.handling.parking import Parked
from tests.integration.eventstore.tally import CODEC, Closed, context, counted
from tests.integration.processes.reacting import NAME, QUICK, Reaction, running
from tests.support.patience import PATIENCE, eventually

NOT_STARTED = (psycopg.errors.UndefinedTable,)
"""The process has not made the tables of parked events yet."""


@pytest.fixture
def poisoned() -> UUID:
    """A stream whose events the reaction rejects, while `fail` is as `refusing` sets it."""
    return uuid4()


def refusing(stream: UUID) -> Reaction:
    reaction = Reaction()
    reaction.fail = lambda recorded: recorded.stream_id == stream
    return reaction


async def park(store: EventStore, reaction: Reaction, stream: UUID, amounts: int) -> Parked:
    """Appends events, waits until all are parked, and lets the reaction accept them; returns the first parked one."""
    await store.append(counted(stream, 0, *range(amounts)), context())
    rows = await eventually(lambda: unresolved(store, amounts), "all are parked", passing=NOT_STARTED)
    reaction.fail = lambda _: False
    return rows[0]


async def unresolved(store: EventStore, number: int) -> list[Parked] | None:
    async with store.pool.connection() as connection:
        rows = await operator_actions.list_parked(connection, NAME)
    return rows if len(rows) == number else None


async def retry(store: EventStore, parked: Parked) -> None:
    async with store.pool.connection() as connection:
        await operator_actions.retry(connection, parked.id, by="olga")


async def retry_error(store: EventStore, parked: Parked) -> str:
    """The error of the failed retry, once it is recorded."""

    async def error() -> str | None:
        async with store.pool.connection() as connection:
            row, actions = await operator_actions.inspect(connection, parked.id)
        return row.error if row.status == "parked" and actions[-1].action == "failed" else None

    return await eventually(error, "the retry has failed")


async def is_handled(store: EventStore, parked: Parked) -> bool:
    async with store.pool.connection() as connection:
        row, _ = await operator_actions.inspect(connection, parked.id)
    return row.status == "handled"


@pytest.mark.parametrize(
    "change",
    ["delete from events where position = %s", "update events set event_id = gen_random_uuid() where position = %s"],
    ids=["nothing is at its position", "another event is at its position"],
)
async def test_an_event_that_a_restore_has_deleted_stays_parked(
    store: EventStore, sql: psycopg.Connection, poisoned: UUID, change: LiteralString
) -> None:
    """With the reason; its stream continues once it is discarded."""
    reaction = refusing(poisoned)
    async with running(store, reaction):
        deleted = await park(store, reaction, poisoned, 3)
        sql.execute(change, (deleted.position,))
        await retry(store, deleted)
        error = await retry_error(store, deleted)
        assert (
            error
            == f"the store holds no event {deleted.message_id} at position {deleted.position} any more: discard it"
        )
        assert reaction.of(poisoned) == [], "those behind it wait"
        other = uuid4()
        await store.append(counted(other, 0, 1), context())
        await eventually(lambda: reaction.of(other) == [1], "other streams go on")
        async with store.pool.connection() as connection:
            await operator_actions.discard(connection, deleted.id, by="olga", reason="it never happened")
        await eventually(lambda: reaction.of(poisoned) == [2, 3], "its stream goes on")


@pytest.fixture
async def sealed(database: str) -> AsyncIterator[EventStore]:
    """A store with compressed events."""
    async with EventStore.open(database, CODEC, seal=Seal(ZlibCompressor())) as opened:
        yield opened


async def test_an_event_with_damaged_bytes_stays_parked(sealed: EventStore, poisoned: UUID) -> None:
    """With the reason; once the bytes are repaired, it and those behind it are handled."""
    reaction = refusing(poisoned)
    async with running(sealed, reaction), sealed.pool.connection() as connection:
        damaged = await park(sealed, reaction, poisoned, 2)
        cursor = await connection.execute("select data from events where position = %s", (damaged.position,))
        whole = await cursor.fetchone()
        await put(connection, damaged, b"not compressed")
        await retry(sealed, damaged)
        error = await retry_error(sealed, damaged)
        assert error.startswith(f"the stored event at position {damaged.position} can't be read: ")
        assert reaction.of(poisoned) == []
        assert whole is not None
        await put(connection, damaged, whole[0])
        await retry(sealed, damaged)
        await eventually(lambda: reaction.of(poisoned) == [1, 2], "its stream goes on")


async def put(connection: AsyncConnection, parked: Parked, data: bytes) -> None:
    await connection.execute("update events set data = %s where position = %s", (data, parked.position))
    await connection.commit()


async def test_a_parked_event_is_decoded_from_the_store(
    store: EventStore, sql: psycopg.Connection, poisoned: UUID
) -> None:
    """Not from the parked copy."""
    await store.append(counted(poisoned, 0, 1), context())
    whole = sql.execute("select data from events").fetchone()
    sql.execute("update events set data = '?'")
    reaction = Reaction()
    async with EventStore.open(store.dsn, CODEC) as fresh, running(fresh, reaction):
        [parked] = await eventually(lambda: unresolved(fresh, 1), "it is parked", passing=NOT_STARTED)
        assert parked.error is not None
        assert parked.error.startswith("the body is not a tally_counted.v1: ")
        sql.execute("update events set data = %s", whole)
        await retry(fresh, parked)
        await eventually(lambda: reaction.of(poisoned) == [1], "it is handled")


async def test_a_parked_event_of_a_type_that_is_no_longer_handled_is_settled(store: EventStore, poisoned: UUID) -> None:
    """The reaction does not get it."""
    before, after = refusing(poisoned), Reaction()
    async with running(store, before):
        parked = await park(store, before, poisoned, 1)
    async with running(store, after, Closed):
        await retry(store, parked)
        await eventually(lambda: is_handled(store, parked), "it is resolved")
    assert after.events == []


async def test_a_retry_requested_while_the_one_before_ends(
    store: EventStore, poisoned: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the process has read that the event is parked again, and before the retry ends."""
    reaction, has_read, has_looked, go_on = refusing(poisoned), asyncio.Event(), asyncio.Event(), asyncio.Event()
    first_unresolved, retrying = parking.first_unresolved, parking.retrying

    async def slow(connection: AsyncConnection, consumer: str, stream_id: UUID | None) -> Parked | None:
        row = await first_unresolved(connection, consumer, stream_id)
        if row is not None and row.status == "parked":
            has_read.set()
            await go_on.wait()
        return row

    async def watched(connection: AsyncConnection, consumer: str) -> list[Parked]:
        rows = await retrying(connection, consumer)
        if rows and has_read.is_set():
            has_looked.set()
        return rows

    async with running(store, reaction, retries=replace(QUICK, attempts=1, look_at_parked_every=10 * PATIENCE)):
        parked = await park(store, reaction, poisoned, 1)
        reaction.fail = lambda _: True
        monkeypatch.setattr(parking, "first_unresolved", slow)
        monkeypatch.setattr(parking, "retrying", watched)
        await retry(store, parked)
        await has_read.wait()
        reaction.fail = lambda _: False
        await retry(store, parked)
        await has_looked.wait()
        go_on.set()
        await eventually(lambda: reaction.of(poisoned) == [1], "it is retried again")
