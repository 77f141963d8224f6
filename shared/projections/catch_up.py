"""Bringing a read table up to a position: in large batches, and in small ones around an event that fails."""

import asyncio
from collections.abc import Callable

from shared.eventstore import Batch, EventStore, StoreUnavailable
from shared.eventstore.connections import TRANSIENT_ERRORS
from shared.projections import positions
from shared.projections.failures import Stuck, TableFailed
from shared.projections.table_group import TableGroup
from shared.stopping import stop

BATCH = 2_000
"""Events per transaction of a table that catches up: enough to make COPY worthwhile. With ten times as many, an event
takes 1.5 times as long, because the garbage collector visits more objects."""
FEWER = 16
"""A batch that failed is divided by this, to find the event that causes the failure."""

Progress = Callable[[int, int], None]
"""Called with the position reached, and the one to reach."""


async def read(store: EventStore, group: TableGroup, limit: int, upto: int | None = None) -> Batch:
    """The next batch for the group; without `upto`, shares what other followers of the process read.

    Raises TableFailed when an event can't be decoded; a lost connection raises its own error.
    """
    try:
        if upto is None:
            return await store.follow(group.position, limit, group.types)
        return await store.read_batch(group.position, limit, group.types, upto=upto)
    except (StoreUnavailable, *TRANSIENT_ERRORS):
        raise
    except Exception as error:
        raise TableFailed(None, error) from error


async def advance(store: EventStore, group: TableGroup, upto: int, *, progress: Progress | None = None) -> int:
    """Brings a group of one table up to the position `upto`; returns how many events were applied.

    After a failure, smaller and smaller batches are applied, until the event that fails is alone. Raises Stuck then.
    """
    events, limit = 0, BATCH
    while group.position < upto:
        before = group.position
        try:
            if limit == BATCH and upto - before > BATCH:
                events += await _advance_at_full_speed(store, group, upto, progress)
            else:
                events += await _apply_one_batch(store, group, limit, upto)
                limit = min(limit * FEWER, BATCH)
        except TableFailed as failure:
            if limit == 1 and group.position == before:
                event = await positions.next_event(group.connection, group.position)
                if event is None or event.position not in group.tables[0].skips:
                    raise Stuck(group.names[0], event, failure.cause) from failure
                await group.apply(Batch([], event.position, 1))  # a skipped event that can't be decoded
            limit = max(1, limit // FEWER)
        if progress:
            progress(group.position, upto)
    return events


async def _apply_one_batch(store: EventStore, group: TableGroup, limit: int, upto: int) -> int:
    batch = await read(store, group, limit, upto)
    # Positions have gaps: without an event up to `upto`, it is reached.
    await group.apply(batch if batch.size else Batch([], upto, 0))
    return batch.size


async def _advance_at_full_speed(store: EventStore, group: TableGroup, upto: int, progress: Progress | None) -> int:
    """Reads the next batch while this one is folded and earlier rows are written."""
    [table] = group.tables
    events, buffer = 0, group.row_buffer(table, BATCH)

    def start_reading(position: int) -> asyncio.Task[Batch]:
        return asyncio.create_task(store.read_batch(position, BATCH, group.types, upto=upto))

    position = group.position
    reading = start_reading(position)
    try:
        while True:
            try:
                batch = await reading
            except (StoreUnavailable, *TRANSIENT_ERRORS):
                raise
            except Exception as error:
                await buffer.wait_until_written()
                if position > group.position:
                    await buffer.start_write(position)
                raise TableFailed(None, error) from error
            position = batch.position if batch.size else upto
            if position < upto:
                reading = start_reading(position)
            await buffer.add(batch.events)
            events += batch.size
            if position >= upto:
                await buffer.start_write(position)
                await buffer.wait_until_written()
                return events
            await buffer.write_when_due(position, batch.size)
            if progress:
                progress(group.position, upto)
    except Exception:
        await buffer.wait_until_written()  # the caller continues with this connection, from the position written
        raise
    finally:
        await stop(reading, *buffer.tasks)
