"""How far a named tailer of a store has come."""

from shared.eventstore.lease import Lease
from shared.eventstore.store import EventStore

SELECT_CHECKPOINT = "select position from checkpoints where name = %s"
ADVANCE_CHECKPOINT = """
insert into checkpoints as c (name, position) values (%s, %s)
on conflict (name) do update set position = excluded.position, updated_at = clock_timestamp()
where c.position < excluded.position"""


async def checkpoint(store: EventStore, name: str) -> int:
    async with store.pool.connection() as connection:
        row = await (await connection.execute(SELECT_CHECKPOINT, (name,))).fetchone()
        return int(row[0]) if row else 0


async def set_checkpoint(store: EventStore, name: str, position: int, lease: Lease | None = None) -> None:
    """Moves forward only. Raises Fenced when the `lease` under which it was reached is another's by now."""
    async with store.pool.connection() as connection, connection.transaction():
        if lease:
            await lease.fence(connection)
        await connection.execute(ADVANCE_CHECKPOINT, (name, position))
