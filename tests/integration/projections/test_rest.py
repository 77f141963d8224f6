"""How seldom read tables are written while no reader waits, and how soon when one does."""

from uuid import uuid4

import pytest

from shared.eventstore import EventStore, StreamAppend
from shared.projections import Projector, leader
from tests.integration.eventstore.tally import CODEC, Opened, context, counted
from tests.integration.projections.tables import SUMS, TALLIES, projecting
from tests.support.patience import PATIENCE, eventually
from tests.support.statements import statements

MOVED = "set position = %s, status"
NEVER = 3600.0


async def test_events_without_a_waiting_reader_share_a_transaction(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are applied at once when a reader waits."""
    async with projecting(store, TALLIES, rest=NEVER) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        counts = statements(monkeypatch)
        for _ in range(50):
            appended = await store.append(counted(uuid4(), 0, 1), context())
        assert counts.of(MOVED) == 0
        assert await projector.caught_up(appended.position, PATIENCE)
        assert counts.of(MOVED) == 1


async def test_a_waiting_reader_of_another_process_wakes_the_projector(store: EventStore) -> None:
    """The one that moves the tables need not be the one that reads them."""
    async with projecting(store, TALLIES, rest=NEVER) as projector, EventStore.open(store.dsn, CODEC) as other:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await Projector(other, (TALLIES,)).caught_up(appended.position, PATIENCE)


async def test_events_that_change_no_row_need_no_transaction(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tables include them; the next event that changes a row writes the position."""
    monkeypatch.setattr(leader, "UNWRITTEN_FOR", NEVER)
    async with projecting(store, SUMS) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        counts = statements(monkeypatch)
        for number in range(50):
            appended = await store.append([StreamAppend(uuid4(), 0, [Opened(f"t{number}")])], context())
            assert await projector.caught_up(appended.position, PATIENCE)
        assert counts.of(MOVED) == 0
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        assert [(table.position, table.events) for table in await projector.lag()] == [(appended.position, 0)]


async def test_the_position_is_written_a_moment_later(store: EventStore) -> None:
    """So health and other replicas do not find the table behind, nor does a table that joins."""
    async with projecting(store, SUMS) as projector:
        appended = await store.append([StreamAppend(uuid4(), 0, [Opened("t")])], context())

        async def is_written() -> bool:
            return [table.position for table in await projector.lag()] == [appended.position]

        await eventually(is_written, "the position is written")
