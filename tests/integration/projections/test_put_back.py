"""A restored store assigns positions again, to other events: read tables show the new ones."""

import asyncio
from uuid import uuid4

import psycopg
import pytest
from psycopg.sql import SQL

from shared.eventstore import EventStore, StreamAppend
from shared.projections.leader import Leader
from shared.projections.positions import OutdatedPosition
from shared.stopping import stop
from tests.integration.eventstore.tally import Counted, Opened, context
from tests.integration.projections.tables import TALLIES, expected, projecting, rows
from tests.support.patience import PATIENCE, eventually


async def restore(store: EventStore, sql: psycopg.Connection, position: int) -> None:
    """Deletes what was recorded after a position, with the projected rows, and begins an epoch there."""
    deleted = sql.execute("delete from events where position > %s returning stream_id", (position,)).fetchall()
    sql.execute("delete from tallies_v1 where id = any(%s)", ([row[0] for row in deleted],))
    sql.execute("update read_tables set position = %s", (position,))
    sql.execute(SQL("alter table events alter column position restart with {}").format(position + 1))
    await store.begin_epoch("put back by the test", position + 1, {})


async def test_events_at_reused_positions_are_projected(store: EventStore, sql: psycopg.Connection) -> None:
    """Also if the store has fewer events than the projector had applied."""
    async with projecting(store, TALLIES) as projector:
        before = (await store.append([StreamAppend(uuid4(), 0, [Opened("kept")])], context())).position
        lost_to = (await store.append([StreamAppend(uuid4(), 0, [Opened("lost"), Counted(1)])], context())).position
        assert await projector.caught_up(lost_to, PATIENCE)
        await restore(store, sql, before)
        reused = (await store.append([StreamAppend(uuid4(), 0, [Opened("again")])], context())).position
        assert before < reused <= lost_to
        await eventually(lambda: len(rows(sql, "tallies_v1")) == 2, "the event at the reused position is shown")
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_a_leader_ends_when_the_store_went_back(store: EventStore, sql: psycopg.Connection) -> None:
    """Its successor begins with the positions of the restored tables."""
    async with projecting(store, TALLIES) as projector:
        position = (await store.append([StreamAppend(uuid4(), 0, [Opened("a")])], context())).position
        assert await projector.caught_up(position, PATIENCE)
    leader = Leader(store, [TALLIES], lease="projector", instance="test")
    leading = asyncio.create_task(leader.run())
    try:
        position = (await store.append([StreamAppend(uuid4(), 0, [Opened("b")])], context())).position
        assert await projector.caught_up(position, PATIENCE)
        await restore(store, sql, position - 1)
        with pytest.raises(OutdatedPosition, match="went back"):
            await asyncio.wait_for(leading, PATIENCE)
    finally:
        await stop(leading)
