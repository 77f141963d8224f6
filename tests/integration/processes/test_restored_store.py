"""A process whose store was restored to an earlier moment handles the new events at reused positions."""

from uuid import uuid4

import psycopg
from psycopg.sql import SQL

from shared.eventstore import EventStore
from tests.integration.eventstore.tally import context, counted
from tests.integration.processes.reacting import Reaction, caught_up, running
from tests.support.patience import eventually


async def restore(store: EventStore, sql: psycopg.Connection, position: int) -> None:
    """Deletes what was recorded after a position, as a restore does, and begins an epoch there."""
    sql.execute("delete from events where position > %s", (position,))
    sql.execute("update checkpoints set position = least(position, %s)", (position,))
    sql.execute(SQL("alter table events alter column position restart with {}").format(position + 1))
    await store.begin_epoch("restored by the test", position + 1, {})


async def test_events_at_reused_positions_are_handled(store: EventStore, sql: psycopg.Connection) -> None:
    """The process has passed these positions before, and begins again from its restored checkpoint."""
    reaction, lost_stream, new_stream = Reaction(), uuid4(), uuid4()
    async with running(store, reaction) as runner:
        before = (await store.append(counted(uuid4(), 0, 1), context())).position
        lost_to = (await store.append(counted(lost_stream, 0, 1, 2), context())).position
        await eventually(lambda: caught_up(runner), "the checkpoint is beyond the lost events")
        await restore(store, sql, before)
        assert (await store.append(counted(new_stream, 0, 1, 2), context())).position == lost_to
        await eventually(lambda: reaction.of(new_stream) == [1, 2], "the events at the reused positions are handled")
    assert reaction.of(lost_stream) == [1, 2]
