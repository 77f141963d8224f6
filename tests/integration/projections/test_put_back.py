"""A store that was restored to an earlier moment gives positions out again, to other events: read tables show those."""

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


async def put_back(store: EventStore, sql: psycopg.Connection, kept: int) -> None:
    """Takes back all that was recorded after a position, the projected rows included, and begins an epoch there."""
    lost = sql.execute("delete from events where position > %s returning stream_id", (kept,)).fetchall()
    sql.execute("delete from tallies_v1 where id = any(%s)", ([row[0] for row in lost],))
    sql.execute("update read_tables set position = %s", (kept,))
    sql.execute(SQL("alter table events alter column position restart with {}").format(kept + 1))
    await store.begin_epoch("put back by the test", kept + 1, {})


async def test_events_at_reused_positions_are_projected(store: EventStore, sql: psycopg.Connection) -> None:
    """Also where nothing was recorded yet beyond what the projector had come to before."""
    async with projecting(store, TALLIES) as projector:
        kept = (await store.append([StreamAppend(uuid4(), 0, [Opened("kept")])], context())).position
        lost = (await store.append([StreamAppend(uuid4(), 0, [Opened("lost"), Counted(1)])], context())).position
        assert await projector.caught_up(lost, PATIENCE)
        await put_back(store, sql, kept)
        again = (await store.append([StreamAppend(uuid4(), 0, [Opened("again")])], context())).position
        assert kept < again <= lost
        await eventually(lambda: len(rows(sql, "tallies_v1")) == 2, "the event at the reused position is shown")
        assert rows(sql, "tallies_v1") == await expected(store, TALLIES)


async def test_a_leader_ends_when_the_store_went_back(store: EventStore, sql: psycopg.Connection) -> None:
    """With all that it remembers of positions; the next one begins with what the restored tables say."""
    async with projecting(store, TALLIES) as projector:
        position = (await store.append([StreamAppend(uuid4(), 0, [Opened("a")])], context())).position
        assert await projector.caught_up(position, PATIENCE)
    leader = Leader(store, [TALLIES], lease="projector", instance="test")
    leading = asyncio.create_task(leader.run())
    try:
        position = (await store.append([StreamAppend(uuid4(), 0, [Opened("b")])], context())).position
        assert await projector.caught_up(position, PATIENCE)
        await put_back(store, sql, position - 1)
        with pytest.raises(OutdatedPosition, match="went back"):
            await asyncio.wait_for(leading, PATIENCE)
    finally:
        await stop(leading)
