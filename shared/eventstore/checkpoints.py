"""Checkpoints: the position that each follower of a store has reached, stored under its name."""

from shared.eventstore.lease import Lease
from shared.eventstore.store import EventStore

SELECT_CHECKPOINT = "select position from checkpoints where name = %s"
UPSERT_CHECKPOINT = """
insert into checkpoints as c (name, position) values (%s, %s)
on conflict (name) do update set position = excluded.position, updated_at = clock_timestamp()
where c.position < excluded.position or %s"""


async def checkpoint(store: EventStore, name: str) -> int:
    """The position; 0 for a follower without a checkpoint."""
    async with store.pool.connection() as connection:
        row = await (await connection.execute(SELECT_CHECKPOINT, (name,))).fetchone()
        return int(row[0]) if row else 0


async def set_checkpoint(
    store: EventStore, name: str, position: int, lease: Lease | None = None, *, may_go_back: bool = False
) -> None:
    """Moves a checkpoint forward, or also back if it `may_go_back`.

    Raises Fenced when another process holds the `lease` now, under which the position was reached.
    """
    async with store.pool.connection() as connection, connection.transaction():
        if lease:
            await lease.fence(connection)
        await connection.execute(UPSERT_CHECKPOINT, (name, position, may_go_back))
