"""Snapshots: a stored state of a stream, so that a long stream need not be folded from its first event each time."""

from collections.abc import Callable
from typing import TypeVar
from uuid import UUID

import msgspec
import structlog

from shared.eventstore.decider import Decider, Loaded, decode_state, encode_state
from shared.eventstore.pool import ReadingPool
from shared.eventstore.records import StoreUnavailable
from shared.eventstore.seal import PLAIN, Seal

S = TypeVar("S")

MAX_SNAPSHOT = 4 * 1024 * 1024
"""Bytes of a state: a larger one takes longer to write and read than the events since the last snapshot."""

# %b: sent in binary, which PostgreSQL need not parse; this runs for each state that is not cached.
SELECT_SNAPSHOT = """
select s.version, s.position, s.data, last.recorded_at, first.recorded_at
from snapshots s
join events last on last.stream_id = s.stream_id and last.version = s.version and last.position = s.position
join events first on first.stream_id = s.stream_id and first.version = 1
where s.stream_id = %b and s.state = %b and s.schema = %b"""
UPSERT_SNAPSHOT = """
insert into snapshots as s (stream_id, state, schema, version, position, data) values (%b, %b, %b, %b, %b, %b)
on conflict (stream_id, state) do update
set schema = excluded.schema, version = excluded.version, position = excluded.position, data = excluded.data,
    taken_at = clock_timestamp()
where (s.schema, s.version) < (excluded.schema, excluded.version)"""

log = structlog.get_logger()


def is_snapshot_due(every: int | None, before: Loaded[S], after: Loaded[S]) -> bool:
    """Whether an append has passed a multiple of `every`, or the newest known snapshot is `every` versions older."""
    if every is None:
        return False
    return after.version // every > before.version // every or after.version - after.snapshot_version >= every


async def read_snapshot(
    pool: ReadingPool, decider: Decider[S], stream_id: UUID, seal: Seal = PLAIN
) -> Loaded[S] | None:
    """The stored state of the current `state_version`; None if there is none, so that the events are folded."""
    rows = await pool.rows(SELECT_SNAPSHOT, (stream_id, decider.name, decider.state_version))
    if not rows:
        return None
    version, position, data, recorded_at, began_at = rows[0]
    try:
        state = seal.open(data)
        return Loaded(decode_state(decider, state), version, position, recorded_at, len(state), began_at, version)
    except (msgspec.DecodeError, ValueError) as error:  # `state_version` was not raised, or the key is another one
        log.warning("snapshot_not_readable", state=decider.name, stream_id=str(stream_id), error=str(error))
        return None


async def store_snapshot(
    pool: ReadingPool,
    decider: Decider[S],
    stream_id: UUID,
    loaded: Loaded[S],
    seal: Seal = PLAIN,
    *,
    is_valid: Callable[[], bool] = lambda: True,
) -> None:
    """Stores a snapshot, unless a newer one is stored, or `is_valid` returns False because the store went back.

    A snapshot that is too large or can't be stored is only logged: the state can be folded from the events.
    """
    data = encode_state(loaded.state)
    if len(data) > MAX_SNAPSHOT:
        log.warning("snapshot_too_large", state=decider.name, stream_id=str(stream_id), bytes=len(data))
        return
    data = seal.close(data)
    try:
        async with pool.reader() as cursor:
            if not is_valid():  # after connecting, since that checks whether the store went back
                return
            await cursor.execute(
                UPSERT_SNAPSHOT, (stream_id, decider.name, decider.state_version, loaded.version, loaded.position, data)
            )
    except StoreUnavailable as error:
        log.warning("snapshot_not_kept", stream_id=str(stream_id), error=str(error))
