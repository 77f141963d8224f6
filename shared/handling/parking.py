"""Parked events: those that a consumer could not handle, those that wait behind them, and what operators do about them.

A `parked` event needs an operator. A `waiting` one is behind a parked event of its stream. For a `retrying` one an
operator has asked for a retry, and its consumer does it in the order of its stream. In the end an event is `handled` or
`discarded`. A stream's unresolved events are handled in position order, so those behind the first one continue once it
is retried or discarded.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any, LiteralString
from uuid import UUID

from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import RowMaker
from psycopg.types.json import Jsonb

from shared.eventstore import RecordedEvent, Schema

SCHEMA = Schema("messaging", Path(__file__).parent / "migrations")
"""The tables of messaging in a service's database: what is parked, and consumers' marks."""

RETRYING = "retrying"
"""The watermark that counts how often an event became `retrying` (migrations/0003_signal.sql)."""
EPOCH_HEADER = "parked-epoch"
"""The epoch of the event, kept beside the message's own headers. A column for it would break the release before, which
reads `*` by prepared statements. What that release has parked is of the first epoch."""

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
UPDATE_WITHHELD: LiteralString = """
with row as (
  update parked set headers = %(headers)s, body = %(body)s, subject = %(subject)s,
    status = case status when 'parked' then 'retrying' else status end
  where consumer = %(consumer)s and message_id = %(message_id)s and status in ('parked', 'waiting', 'retrying')
    and headers ? 'ce-withheld' returning id)
insert into parked_actions (parked_id, action, actor, detail)
select id, 'supplied', %(consumer)s, 'its owner has published it after all' from row returning parked_id"""
SELECT_IS_PARKED: LiteralString = "select 1 from parked where consumer = %s and message_id = %s"
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


@dataclass(frozen=True)
class Message:
    """A message as far as it could be read."""

    message_id: str
    subject: str
    headers: Mapping[str, str]
    body: bytes
    stream_id: UUID | None = None
    position: int | None = None
    epoch: int = 1
    decode: Callable[[], RecordedEvent] | None = field(default=None, repr=False, compare=False)
    """For a message that is made of an event of this process's own store: decodes it, once for all of its followers."""
    identity: Any = field(default=None, repr=False, compare=False)
    """What the headers say about the event, where they have been read."""


async def park(
    connection: AsyncConnection, consumer: str, message: Message, *, status: str, error: str | None, attempts: int = 0
) -> bool:
    """Parks a message, once. A `waiting` one only while its stream has an unresolved one: False, when it has none."""
    row = {
        **_columns(consumer, message),
        "status": status,
        "error": _text(error),
        "attempts": attempts,
    }
    if status != "waiting":
        await connection.execute(INSERT_PARKED, row)
        return True
    async with connection.transaction():
        await connection.execute(LOCK_STREAM, (consumer, str(message.stream_id)))
        if await head(connection, consumer, message.stream_id) is None:
            return False
        await connection.execute(INSERT_PARKED, row)
        return True


async def supply(connection: AsyncConnection, consumer: str, message: Message) -> bool:
    """Puts an event into the place that was kept for it; it is tried then. False when there is none (any more)."""
    row = _columns(consumer, message)
    return await (await connection.execute(UPDATE_WITHHELD, row)).fetchone() is not None


def _columns(consumer: str, message: Message) -> dict[str, Any]:
    headers = {_text(name): _text(value) for name, value in message.headers.items()}
    return {
        "consumer": consumer,
        "message_id": message.message_id,
        "stream_id": message.stream_id,
        "position": message.position,
        "type": _text(message.headers.get("ce-type")),
        "subject": _text(message.subject),
        "headers": Jsonb({**headers, EPOCH_HEADER: str(message.epoch)}),
        "body": message.body,
    }


async def known(connection: AsyncConnection, consumer: str, message_id: str) -> bool:
    """Whether a message was ever parked: what becomes of it is decided there, not by its redelivery."""
    return await (await connection.execute(SELECT_IS_PARKED, (consumer, message_id))).fetchone() is not None


async def blocked(connection: AsyncConnection, consumer: str) -> set[UUID]:
    """The streams that wait."""
    return {row[0] for row in await (await connection.execute(SELECT_BLOCKED_STREAMS, (consumer,))).fetchall()}


async def highest(connection: AsyncConnection, consumer: str) -> int:
    """The greatest position ever parked: no event after it can be `known`."""
    row = await (await connection.execute(SELECT_HIGHEST_POSITION, (consumer,))).fetchone()
    return int(row[0]) if row else 0


async def head(connection: AsyncConnection, consumer: str, stream_id: UUID | None) -> Parked | None:
    """A stream's first unresolved one."""
    return await (await rows(connection).execute(SELECT_FIRST_UNRESOLVED, (consumer, stream_id))).fetchone()


async def get(connection: AsyncConnection, parked_id: int) -> Parked | None:
    return await (await rows(connection).execute(SELECT_PARKED, (parked_id,))).fetchone()


async def runnable(connection: AsyncConnection, consumer: str) -> list[Parked]:
    """Streams' first ones that need no operator: what a consumer that died has left half done, too."""
    return await (await rows(connection).execute(SELECT_RUNNABLE, (consumer,))).fetchall()


async def retrying(connection: AsyncConnection, consumer: str) -> list[Parked]:
    return await (await rows(connection).execute(SELECT_RETRYING, (consumer,))).fetchall()


async def counts(connection: AsyncConnection, consumer: str) -> dict[str, int]:
    """How many are unresolved, by status."""
    return dict(await (await connection.execute(COUNT_UNRESOLVED, (consumer,))).fetchall())


async def handled(connection: AsyncConnection, parked: Parked) -> None:
    async with connection.transaction():
        await resolve(connection, parked.id, "handled", parked.consumer, None)


async def failed(connection: AsyncConnection, parked: Parked, error: str, attempts: int) -> None:
    """It failed again, and needs an operator again."""
    async with connection.transaction():
        await connection.execute(UPDATE_TO_PARKED, (_text(error), attempts, parked.id))
        await note(connection, parked.id, "failed", parked.consumer, error)


async def resolve(connection: AsyncConnection, parked_id: int, status: str, by: str, reason: str | None) -> None:
    await connection.execute(UPDATE_TO_RESOLVED, (status, by, _text(reason), parked_id))
    await note(connection, parked_id, status, by, reason)


async def note(connection: AsyncConnection, parked_id: int, action: str, actor: str, detail: str | None) -> None:
    await connection.execute(INSERT_ACTION, (parked_id, action, actor, _text(detail)))


def rows(connection: AsyncConnection) -> AsyncCursor[Parked]:
    return connection.cursor(row_factory=_parked_row)


def _parked_row(cursor: AsyncCursor[Any]) -> RowMaker[Parked]:
    """Columns that a newer version of us has added are passed over."""
    names = [column.name for column in cursor.description or ()]
    return lambda values: Parked(**{name: value for name, value in zip(names, values, strict=True) if name in FIELDS})


def _text(text: Any) -> Any:
    """PostgreSQL's text can't hold a NUL, which a malformed message can."""
    return text.replace("\0", "\ufffd") if isinstance(text, str) else text
