"""How far a consumer has settled its owner's events, kept lazily in the service's own database."""

from datetime import datetime
from typing import LiteralString, NamedTuple

from psycopg import AsyncConnection

GET: LiteralString = "select position, recorded_at from consumed where consumer = %s"
PUT: LiteralString = """
insert into consumed as c (consumer, position, recorded_at) values (%s, %s, %s)
on conflict (consumer) do update set position = excluded.position, recorded_at = excluded.recorded_at
where c.position < excluded.position or c.recorded_at < excluded.recorded_at"""


class Mark(NamedTuple):
    """A place in the owner's history. Both grow together, unless the owner's database was replaced by an older one."""

    position: int
    recorded_at: datetime

    def within(self, settled: "Mark") -> bool:
        """Whether an event at this mark lies in what is settled; one of another history with its position does not."""
        return self.position <= settled.position and self.recorded_at <= settled.recorded_at

    def before(self) -> "Mark":
        """Everything that came before the event at this mark."""
        return Mark(self.position - 1, self.recorded_at)


async def settled(connection: AsyncConnection, consumer: str) -> Mark | None:
    row = await (await connection.execute(GET, (consumer,))).fetchone()
    return Mark(*row) if row else None


async def settle(connection: AsyncConnection, *, consumer: str, mark: Mark) -> None:
    """Moves forward only."""
    await connection.execute(PUT, (consumer, mark.position, mark.recorded_at))
