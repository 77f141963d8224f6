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
"""Is called with the position reached and the one to be reached."""


async def read(store: EventStore, group: TableGroup, limit: int, upto: int | None = None) -> Batch:
    """The next batch; without `upto`, what the process's other followers read is shared.

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
    """Brings one table up to the position `upto`; returns how many events were applied.

    After a failure, smaller and smaller batches are applied, up to the event that fails. Raises Stuck at that one.
    """
    events, limit = 0, BATCH
    while group.position < upto:
        before = group.position
        try:
            if limit == BATCH and upto - before > BATCH:
                events += await _advance_at_full_speed(store, group, upto, progress)
            else:
                events += await _step(store, group, limit, upto)
                limit = min(limit * FEWER, BATCH)
        except TableFailed as failure:
            if limit == 1 and group.position == before:
                event = await positions.next_event(group.connection, group.position)
                if event is None or event.position not in group.tables[0].skips:
                    raise Stuck(group.names[0], event, failure.cause) from failure
                await group.apply(Batch([], event.position, 1))  # skipped; it can't be decoded
            limit = max(1, limit // FEWER)
        if progress:
            progress(group.position, upto)
    return events


async def _step(store: EventStore, group: TableGroup, limit: int, upto: int) -> int:
    batch = await read(store, group, limit, upto)
    # Positions have gaps: when no event is left, the goal is reached.
    await group.apply(batch if batch.size else Batch([], upto, 0))
    return batch.size


async def _advance_at_full_speed(store: EventStore, group: TableGroup, upto: int, progress: Progress | None) -> int:
    """Reads the next batch while this one is folded and the rows before are written, so that nobody waits."""
    [table] = group.tables
    events, unwritten = 0, group.unwritten(table, BATCH)

    def read_behind(position: int) -> asyncio.Task[Batch]:
        return asyncio.create_task(store.read_batch(position, BATCH, group.types, upto=upto))

    at = group.position
    reading = read_behind(at)
    try:
        while True:
            try:
                batch = await reading
            except (StoreUnavailable, *TRANSIENT_ERRORS):
                raise
            except Exception as error:
                await unwritten.written()
                if at > group.position:
                    await unwritten.write(at)
                raise TableFailed(None, error) from error
            at = batch.position if batch.size else upto
            if at < upto:
                reading = read_behind(at)
            await unwritten.take(batch.events)
            events += batch.size
            if at >= upto:
                await unwritten.write(at)
                await unwritten.written()
                return events
            await unwritten.write_if_enough(at, batch.size)
            if progress:
                progress(group.position, upto)
    except Exception:
        await unwritten.written()  # whoever goes on needs the connection, and where the table is
        raise
    finally:
        await stop(reading, *unwritten.tasks)
