"""Snapshots: a stream's state, kept so that a long stream is not folded from its beginning each time."""

from typing import TypeVar
from uuid import UUID

import msgspec
import structlog

from shared.eventstore.decider import Decider, Loaded, decode_state, encode_state
from shared.eventstore.pool import ReadingPool
from shared.eventstore.records import StoreUnavailable

S = TypeVar("S")

READ = "select version, position, data from snapshots where stream_id = %b and state = %b and schema = %b"
KEEP = """
insert into snapshots as s (stream_id, state, schema, version, position, data) values (%b, %b, %b, %b, %b, %b)
on conflict (stream_id, state) do update
set schema = excluded.schema, version = excluded.version, position = excluded.position, data = excluded.data,
    taken_at = clock_timestamp()
where (s.schema, s.version) < (excluded.schema, excluded.version)"""

log = structlog.get_logger()


async def read_snapshot(pool: ReadingPool, decider: Decider[S], stream_id: UUID) -> Loaded[S] | None:
    """The state that was kept in today's form; None when there is none, for the events still say it all."""
    rows = await pool.rows(READ, (stream_id, decider.name, decider.state_version))
    try:
        return Loaded(decode_state(decider, rows[0][2]), rows[0][0], rows[0][1]) if rows else None
    except msgspec.DecodeError as error:  # its version should have been raised
        log.warning("snapshot_not_readable", state=decider.name, stream_id=str(stream_id), error=str(error))
        return None


async def keep_snapshot(pool: ReadingPool, decider: Decider[S], stream_id: UUID, loaded: Loaded[S]) -> None:
    """Unless a newer one is kept. One that can't be kept is no loss."""
    data = encode_state(loaded.state)
    try:
        async with pool.reader() as cursor:
            await cursor.execute(
                KEEP, (stream_id, decider.name, decider.state_version, loaded.version, loaded.position, data)
            )
    except StoreUnavailable as error:
        log.warning("snapshot_not_kept", stream_id=str(stream_id), error=str(error))
