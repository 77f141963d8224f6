"""A stored event that can't be decoded (a bug, or damage) stops its own stream only."""

from uuid import uuid4

import msgspec
import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent
from shared.handling import operator_actions
from shared.processes import Process, ProcessRunner
from tests.integration.eventstore.tally import TALLY, Counted, context, counted
from tests.integration.messaging.support import background
from tests.support.patience import eventually

TYPES = frozenset({"tally_counted.v1"})


DAMAGED = b'{"type":"tally_counted.v1","by":"two"}'


def damage(sql: psycopg.Connection) -> None:
    sql.execute("update events set data = %s where position = 2", (DAMAGED,))


async def test_readers_that_do_not_decode_it_continue(store: EventStore, sql: psycopg.Connection) -> None:
    """Readers that decode it get an error with the cause; commands on its stream fail with it."""
    streams = [uuid4() for _ in range(3)]
    for stream in streams:
        await store.append(counted(stream, 0, 1), context())
    damage(sql)
    assert [event.data for event in (await store.read_undecoded(0, 10, TYPES)).events][1] == DAMAGED
    before = await store.read_batch(0, 10)
    assert (before.position, before.size) == (1, 1), "what stands before it can be read"
    assert (await store.read_batch(2, 10)).position == 3
    with pytest.raises(msgspec.ValidationError, match=r"Expected `int`, got `str` - at `\$\.by`"):
        await store.read_batch(1, 10)
    with pytest.raises(msgspec.ValidationError):
        await store.load(TALLY, streams[1])
    assert (await store.load(TALLY, streams[2])).version == 1


async def test_a_process_parks_it_and_its_stream(store: EventStore, sql: psycopg.Connection) -> None:
    """Other streams continue, and operators see it."""
    damaged, healthy = uuid4(), uuid4()
    await store.append(counted(healthy, 0, 1), context())
    await store.append(counted(damaged, 0, 2), context())
    await store.append(counted(damaged, 1, 3), context())
    await store.append(counted(healthy, 1, 4), context())
    damage(sql)
    reacted_to: list[RecordedEvent] = []

    async def react(recorded: RecordedEvent) -> None:
        reacted_to.append(recorded)

    async with background(ProcessRunner(store, Process("mirror-v1", (Counted,), react)).run):
        await eventually(lambda: len(reacted_to) == 2, "the other stream flows")
        await eventually(lambda: statuses(sql) == ["parked", "waiting"], "it is parked, and the one behind it waits")
    assert [recorded_event.event for recorded_event in reacted_to] == [Counted(1), Counted(4)]
    async with store.pool.connection() as connection:
        [parked, _] = await operator_actions.list_parked(connection)
    assert (parked.position, parked.stream_id, parked.body) == (2, damaged, DAMAGED)
    assert "Expected `int`, got `str`" in (parked.error or "")


def statuses(sql: psycopg.Connection) -> list[str]:
    return [status for (status,) in sql.execute("select status from parked order by position").fetchall()]
