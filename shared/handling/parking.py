"""The table of parked events: those that could not be handled, and those of the same streams that wait behind them.

Statuses: `parked` needs an operator. `waiting` is behind a parked event of its stream. `retrying` was requested by an
operator, and its consumer does it in the order of its stream. `handled` and `discarded` are final; the other three are
unresolved. A stream's unresolved events are handled in position order, so those behind the first one continue once it
is handled or discarded.
"""

from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import RowMaker
from psycopg.types.json import Jsonb

from shared.eventstore import Schema
from shared.handling.delivery import Message

SCHEMA = Schema("messaging", Path(__file__).parent / "migrations")
"""The tables of parked events and of consumers' checkpoints, in each service's own database."""

RETRYING = "retrying"
"""The watermark that counts requested retries; the trigger of migrations/0003_signal.sql raises it."""
EPOCH_HEADER = "parked-epoch"
"""The header that holds the event's epoch. A new column would break the release before, whose prepared statements read
`*`. Rows that it parked have no such header, and are of the first epoch."""

LOCK_STREAM: LiteralString = "select pg_advisory_xact_lock(hashtextextended('parked:' || %s || ':' || %s, 0))"
INSERT_PARKED: LiteralString = """
with row as (
  insert into parked (consumer, message_id, stream_id, position, type, subject, headers, body, status, error,
    attempts)
  values (%(consumer)s, %(message_id)s, %(stream_id)s, %(position)s, %(type)s, %(subject)s, %(headers)s,
    %(body)s, %(status)s, %(error)s, %(attempts)s)
  on conflict (consumer, message_id) do nothing returning id)
insert into parked_actions (parked_id, action, actor, detail)
select id, %(status)s, %(consumer)s, %(error)s from row"""
UPDATE_PLACEHOLDER: LiteralString = """
with row as (
  update parked set headers = %(headers)s, body = %(body)s, subject = %(subject)s,
    status = case status when 'parked' then 'retrying' else status end
  where consumer = %(consumer)s and message_id = %(message_id)s and status in ('parked', 'waiting', 'retrying')
    and headers ? 'ce-withheld' returning id)
insert into parked_actions (parked_id, action, actor, detail)
select id, 'supplied', %(consumer)s, 'its owner has published it' from row returning parked_id"""
SELECT_WAS_PARKED: LiteralString = "select 1 from parked where consumer = %s and message_id = %s"
SELECT_BLOCKED_STREAMS: LiteralString = """
select distinct stream_id from parked
where consumer = %s and stream_id is not null and status in ('parked', 'waiting', 'retrying')"""
SELECT_HIGHEST_POSITION: LiteralString = "select coalesce(max(position), 0) from parked where consumer = %s"
SELECT_FIRST_UNRESOLVED: LiteralString = """
select * from parked
where consumer = %s and stream_id = %s and status in ('parked', 'waiting', 'retrying')
order by coalesce((headers ->> 'parked-epoch')::integer, 1), position, id limit 1"""
SELECT_PARKED: LiteralString = "select * from parked where id = %s"
SELECT_RUNNABLE: LiteralString = """
select * from (
  select distinct on (coalesce(stream_id::text, id::text)) * from parked
  where consumer = %s and status in ('parked', 'waiting', 'retrying')
  order by coalesce(stream_id::text, id::text), coalesce((headers ->> 'parked-epoch')::integer, 1), position, id) heads
where status <> 'parked' order by id"""
SELECT_RETRYING: LiteralString = "select * from parked where consumer = %s and status = 'retrying' order by id"
COUNT_UNRESOLVED: LiteralString = """
select status, count(*) from parked
where consumer = %s and status in ('parked', 'waiting', 'retrying') group by status"""
UPDATE_TO_PARKED: LiteralString = """
update parked set status = 'parked', error = %s, attempts = attempts + %s
where id = %s and status in ('waiting', 'retrying')"""
UPDATE_TO_RESOLVED: LiteralString = """
update parked set status = %s, resolved_at = clock_timestamp(), resolved_by = %s, reason = %s
where id = %s and status in ('parked', 'waiting', 'retrying')"""
INSERT_ACTION: LiteralString = "insert into parked_actions (parked_id, action, actor, detail) values (%s, %s, %s, %s)"


@dataclass(frozen=True)
class Parked:
    """A row of the table; `position` and `stream_id` are None for a message that names none."""

    id: int
    consumer: str
    message_id: str
    stream_id: UUID | None
    position: int | None
    type: str | None
    subject: str
    headers: dict[str, str]
    body: bytes
    status: str
    error: str | None
    attempts: int
    parked_at: datetime
    resolved_at: datetime | None
    resolved_by: str | None
    reason: str | None


FIELDS = frozenset(field.name for field in fields(Parked))


async def park(
    connection: AsyncConnection, consumer: str, message: Message, *, status: str, error: str | None, attempts: int = 0
) -> bool:
    """Parks a message. Idempotent per consumer and message id.

    Returns False, and parks nothing, for a `waiting` message whose stream has no unresolved event (any more).
    """
    row = {
        **_columns(consumer, message),
        "status": status,
        "error": _without_nul(error),
        "attempts": attempts,
    }
    if status != "waiting":
        await connection.execute(INSERT_PARKED, row)
        return True
    async with connection.transaction():
        await connection.execute(LOCK_STREAM, (consumer, str(message.stream_id)))
        if await first_unresolved(connection, consumer, message.stream_id) is None:
            return False
        await connection.execute(INSERT_PARKED, row)
        return True


async def replace_placeholder(connection: AsyncConnection, consumer: str, message: Message) -> bool:
    """Replaces the parked message that named this event without its content, and retries it; False if there is none."""
    row = _columns(consumer, message)
    return await (await connection.execute(UPDATE_PLACEHOLDER, row)).fetchone() is not None


def _columns(consumer: str, message: Message) -> dict[str, Any]:
    headers = {_without_nul(name): _without_nul(value) for name, value in message.headers.items()}
    return {
        "consumer": consumer,
        "message_id": message.message_id,
        "stream_id": message.stream_id,
        "position": message.position,
        "type": _without_nul(message.type),
        "subject": _without_nul(message.subject),
        "headers": Jsonb({**headers, EPOCH_HEADER: str(message.epoch)}),
        "body": message.body,
    }


async def was_parked(connection: AsyncConnection, consumer: str, message_id: str) -> bool:
    """Whether a message was ever parked, in any status: its redelivery must not be handled."""
    return await (await connection.execute(SELECT_WAS_PARKED, (consumer, message_id))).fetchone() is not None


async def blocked_streams(connection: AsyncConnection, consumer: str) -> set[UUID]:
    """Streams with unresolved events."""
    return {row[0] for row in await (await connection.execute(SELECT_BLOCKED_STREAMS, (consumer,))).fetchall()}


async def highest_position(connection: AsyncConnection, consumer: str) -> int:
    """The highest position that was ever parked; 0 without any."""
    row = await (await connection.execute(SELECT_HIGHEST_POSITION, (consumer,))).fetchone()
    return int(row[0]) if row else 0


async def first_unresolved(connection: AsyncConnection, consumer: str, stream_id: UUID | None) -> Parked | None:
    """A stream's first unresolved event."""
    return await (await parked_cursor(connection).execute(SELECT_FIRST_UNRESOLVED, (consumer, stream_id))).fetchone()


async def find(connection: AsyncConnection, parked_id: int) -> Parked | None:
    """The row with this id."""
    return await (await parked_cursor(connection).execute(SELECT_PARKED, (parked_id,))).fetchone()


async def runnable(connection: AsyncConnection, consumer: str) -> list[Parked]:
    """Each stream's first unresolved event if it needs no operator, such as one that a crashed consumer had begun."""
    return await (await parked_cursor(connection).execute(SELECT_RUNNABLE, (consumer,))).fetchall()


async def retrying(connection: AsyncConnection, consumer: str) -> list[Parked]:
    """Events whose retry operators have requested, oldest first."""
    return await (await parked_cursor(connection).execute(SELECT_RETRYING, (consumer,))).fetchall()


async def count_unresolved(connection: AsyncConnection, consumer: str) -> dict[str, int]:
    """The number of unresolved events by status; statuses without any are absent."""
    return dict(await (await connection.execute(COUNT_UNRESOLVED, (consumer,))).fetchall())


async def mark_handled(connection: AsyncConnection, parked: Parked) -> None:
    """Records that a parked event has been handled."""
    async with connection.transaction():
        await resolve(connection, parked.id, "handled", parked.consumer, None)


async def mark_failed(connection: AsyncConnection, parked: Parked, error: str, attempts: int) -> None:
    """Records that a retry failed after `attempts`: the event needs an operator again."""
    async with connection.transaction():
        await connection.execute(UPDATE_TO_PARKED, (_without_nul(error), attempts, parked.id))
        await record_action(connection, parked.id, "failed", parked.consumer, error)


async def resolve(connection: AsyncConnection, parked_id: int, status: str, actor: str, reason: str | None) -> None:
    """Gives an unresolved event its final status, `handled` or `discarded`."""
    await connection.execute(UPDATE_TO_RESOLVED, (status, actor, _without_nul(reason), parked_id))
    await record_action(connection, parked_id, status, actor, reason)


async def record_action(
    connection: AsyncConnection, parked_id: int, action: str, actor: str, detail: str | None
) -> None:
    """Adds to the event's audit trail."""
    await connection.execute(INSERT_ACTION, (parked_id, action, actor, _without_nul(detail)))


def parked_cursor(connection: AsyncConnection) -> AsyncCursor[Parked]:
    """A cursor whose rows are Parked; columns that a newer release has added are ignored."""
    return connection.cursor(row_factory=_parked_row)


def _parked_row(cursor: AsyncCursor[Any]) -> RowMaker[Parked]:
    names = [column.name for column in cursor.description or ()]
    return lambda values: Parked(**{name: value for name, value in zip(names, values, strict=True) if name in FIELDS})


def _without_nul(text: Any) -> Any:
    """PostgreSQL's text can't hold the NUL character, which a malformed message may contain."""
    return text.replace("\0", "\ufffd") if isinstance(text, str) else text
