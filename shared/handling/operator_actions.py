"""What operators do about parked events: list, inspect, retry and discard them.

The functions need a connection in autocommit mode to the service's database.
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
    """An entry of a parked event's audit trail; `actor` is an operator or the consumer."""

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
    """A page of parked events in the order of their ids; `after` is the last id of the page before."""
    parameters = {"consumer": consumer, "statuses": list(statuses), "after": after, "limit": limit}
    return await (await parking.parked_cursor(connection).execute(SELECT_PAGE, parameters)).fetchall()


async def inspect(connection: AsyncConnection, parked_id: int) -> tuple[Parked, list[Action]]:
    """A parked event with its audit trail. Raises Problem NOT_FOUND."""
    cursor = connection.cursor(row_factory=class_row(Action))
    return await _find(connection, parked_id), await (await cursor.execute(SELECT_ACTIONS, (parked_id,))).fetchall()


async def retry(connection: AsyncConnection, parked_id: int, *, by: str, reason: str = "") -> None:
    """Requests a retry; then the events behind it are handled. Raises Problem unless it is its stream's first."""
    async with connection.transaction():
        parked = await _lock_stream_of(connection, parked_id)
        if parked.status == "waiting":
            first = await parking.first_unresolved(connection, parked.consumer, parked.stream_id)
            assert first is not None, "a waiting event is unresolved itself"
            raise invalid(
                f"parked event {parked_id} waits behind {first.id} of the same stream: retry or discard {first.id}"
            )
        if parked.status not in UNRESOLVED:
            raise invalid(f"parked event {parked_id} is {parked.status} already, so it can't be retried or discarded")
        await connection.execute(UPDATE_TO_RETRYING, (parked_id,))
        await parking.record_action(connection, parked_id, "retry", by, reason)


async def discard(connection: AsyncConnection, parked_id: int, *, by: str, reason: str) -> None:
    """Resolves the event without handling it; those behind it are handled. Raises Problem if it is resolved already."""
    if not reason.strip():
        raise invalid("a reason is needed: it is recorded with the discarded event")
    async with connection.transaction():
        parked = await _lock_stream_of(connection, parked_id)
        if parked.status not in UNRESOLVED:
            raise invalid(f"parked event {parked_id} is {parked.status} already, so it can't be retried or discarded")
        await parking.resolve(connection, parked_id, "discarded", by, reason)
        first = await parking.first_unresolved(connection, parked.consumer, parked.stream_id)
        if first and first.status == "waiting":
            await connection.execute(UPDATE_TO_RETRYING, (first.id,))


async def _find(connection: AsyncConnection, parked_id: int) -> Parked:
    parked = await parking.find(connection, parked_id)
    if parked is None:
        raise not_found(f"parked event {parked_id}")
    return parked


async def _lock_stream_of(connection: AsyncConnection, parked_id: int) -> Parked:
    parked = await _find(connection, parked_id)
    await connection.execute(parking.LOCK_STREAM, (parked.consumer, str(parked.stream_id)))
    return await _find(connection, parked_id)
