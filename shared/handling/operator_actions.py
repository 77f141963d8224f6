"""What operators do about parked events: look at them, have them tried again, or give them up.

A connection in autocommit mode to the service's database is all that they need.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from psycopg import AsyncConnection
from psycopg.rows import class_row

from shared.contracts.problem import invalid, not_found
from shared.handling import parking
from shared.handling.parking import Parked

UNRESOLVED = ("parked", "waiting", "retrying")

SELECT_PAGE: LiteralString = """
select * from parked
where (%(consumer)s::text is null or consumer = %(consumer)s) and status = any(%(statuses)s) and id > %(after)s
order by id limit %(limit)s"""
SELECT_ACTIONS: LiteralString = "select action, actor, detail, at from parked_actions where parked_id = %s order by id"
UPDATE_TO_RETRYING: LiteralString = (
    "update parked set status = 'retrying' where id = %s and status in ('parked', 'waiting')"
)


@dataclass(frozen=True)
class Action:
    """Something that was done about a parked event; `actor` is an operator or the consumer itself."""

    action: str
    actor: str
    detail: str | None
    at: datetime


async def list_parked(
    connection: AsyncConnection,
    consumer: str | None = None,
    *,
    statuses: Sequence[str] = UNRESOLVED,
    after: int = 0,
    limit: int = 100,
) -> list[Parked]:
    """The oldest first; `after` is the id of the last one seen."""
    parameters = {"consumer": consumer, "statuses": list(statuses), "after": after, "limit": limit}
    return await (await parking.parked_cursor(connection).execute(SELECT_PAGE, parameters)).fetchall()


async def inspect(connection: AsyncConnection, parked_id: int) -> tuple[Parked, list[Action]]:
    """One of them with its whole history. Raises Problem NOT_FOUND."""
    cursor = connection.cursor(row_factory=class_row(Action))
    return await _one(connection, parked_id), await (await cursor.execute(SELECT_ACTIONS, (parked_id,))).fetchall()


async def retry(connection: AsyncConnection, parked_id: int, *, by: str, reason: str = "") -> None:
    """Lets its consumer try again, and then those behind it. Raises Problem when it is not the one to be retried."""
    async with connection.transaction():
        parked = await _locked(connection, parked_id)
        if parked.status == "waiting":
            first = await parking.first_unresolved(connection, parked.consumer, parked.stream_id)
            assert first is not None, "a waiting event is unresolved itself"
            raise invalid(f"parked event {parked_id} waits behind {first.id} of the same stream: retry that one")
        if parked.status not in UNRESOLVED:
            raise invalid(f"parked event {parked_id} is {parked.status} already")
        await connection.execute(UPDATE_TO_RETRYING, (parked_id,))
        await parking.record_action(connection, parked_id, "retry", by, reason)


async def discard(connection: AsyncConnection, parked_id: int, *, by: str, reason: str) -> None:
    """Gives it up for good, for the reason given; those behind it go on. Raises Problem when it can't be."""
    if not reason.strip():
        raise invalid("say why it is discarded: the reason is kept with it")
    async with connection.transaction():
        parked = await _locked(connection, parked_id)
        if parked.status not in UNRESOLVED:
            raise invalid(f"parked event {parked_id} is {parked.status} already")
        await parking.resolve(connection, parked_id, "discarded", by, reason)
        first = await parking.first_unresolved(connection, parked.consumer, parked.stream_id)
        if first and first.status == "waiting":
            await connection.execute(UPDATE_TO_RETRYING, (first.id,))


async def _one(connection: AsyncConnection, parked_id: int) -> Parked:
    parked = await parking.find(connection, parked_id)
    if parked is None:
        raise not_found(f"parked event {parked_id}")
    return parked


async def _locked(connection: AsyncConnection, parked_id: int) -> Parked:
    parked = await _one(connection, parked_id)
    await connection.execute(parking.LOCK_STREAM, (parked.consumer, str(parked.stream_id)))
    return await _one(connection, parked_id)
