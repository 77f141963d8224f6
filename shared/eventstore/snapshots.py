"""Snapshots: a stream's state, kept so that a long stream is not folded from its beginning each time."""

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

SELECT_SNAPSHOT = """
select version, position, data from snapshots s where stream_id = %b and state = %b and schema = %b and exists (
  select from events e where e.stream_id = s.stream_id and e.version = s.version and e.position = s.position)"""
UPSERT_SNAPSHOT = """
insert into snapshots as s (stream_id, state, schema, version, position, data) values (%b, %b, %b, %b, %b, %b)
on conflict (stream_id, state) do update
set schema = excluded.schema, version = excluded.version, position = excluded.position, data = excluded.data,
    taken_at = clock_timestamp()
where (s.schema, s.version) < (excluded.schema, excluded.version)"""

log = structlog.get_logger()


async def read_snapshot(
    pool: ReadingPool, decider: Decider[S], stream_id: UUID, seal: Seal = PLAIN
) -> Loaded[S] | None:
    """The state that was kept in today's form; None when there is none, for the events still say it all."""
    rows = await pool.rows(SELECT_SNAPSHOT, (stream_id, decider.name, decider.state_version))
    if not rows:
        return None
    version, position, data = rows[0]
    try:
        state = seal.open(data)
        return Loaded(decode_state(decider, state), version, position, size=len(state))
    except (msgspec.DecodeError, ValueError) as error:  # its version should have been raised; or another key is used
        log.warning("snapshot_not_readable", state=decider.name, stream_id=str(stream_id), error=str(error))
        return None


async def keep_snapshot(
    pool: ReadingPool,
    decider: Decider[S],
    stream_id: UUID,
    loaded: Loaded[S],
    seal: Seal = PLAIN,
    *,
    still: Callable[[], bool] = lambda: True,
) -> None:
    """Unless a newer one is kept, or the store went back meanwhile (`still`).

    One that can't be kept, or is too large to be worth it, is no loss.
    """
    data = encode_state(loaded.state)
    if len(data) > MAX_SNAPSHOT:
        log.warning("snapshot_too_large", state=decider.name, stream_id=str(stream_id), bytes=len(data))
        return
    data = seal.close(data)
    try:
        async with pool.reader() as cursor:
            if not still():  # asked with the connection in hand: making one looks whether the store went back
                return
            await cursor.execute(
                UPSERT_SNAPSHOT, (stream_id, decider.name, decider.state_version, loaded.version, loaded.position, data)
            )
    except StoreUnavailable as error:
        log.warning("snapshot_not_kept", stream_id=str(stream_id), error=str(error))
