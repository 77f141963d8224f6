"""Read tables over the tally's events, one for each kind of table."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql as query

from shared.eventstore import EventStore, RecordedEvent
from shared.projections import Key, Projection, Projector
from shared.projections.leader import REST
from shared.stopping import stop
from tests.integration.eventstore.tally import Closed, Counted, Opened


class TallyRow(msgspec.Struct, frozen=True):
    id: UUID
    name: str
    total: int
    changes: int
    """How many events it has seen: shows at once an event taken twice or not at all."""
    changed_at: datetime


def tally(row: TallyRow | None, recorded: RecordedEvent) -> TallyRow | None:
    row = row or TallyRow(recorded.stream_id, "", 0, 0, recorded.recorded_at)
    changed = msgspec.structs.replace(row, changes=row.changes + 1, changed_at=recorded.recorded_at)
    match recorded.event:
        case Opened(name=name):
            return msgspec.structs.replace(changed, name=name)
        case Counted(by=by):
            return msgspec.structs.replace(changed, total=row.total + by)
    return None  # closed


TALLIES = Projection(
    name="tallies",
    version=1,
    row=TallyRow,
    key=("id",),
    ddl="""create table {table} (
      id uuid primary key, name text not null, total bigint not null, changes bigint not null,
      changed_at timestamptz not null
    ); create index {table}_name on {table} (name)""",
    events=(Opened, Counted, Closed),
    keys=lambda recorded: [(recorded.stream_id,)],
    project=tally,
)


class Source(msgspec.Struct, frozen=True):
    event_id: UUID
    recorded_at: datetime
    amount: Decimal
    tags: list[str]


class SumRow(msgspec.Struct, frozen=True):
    stream_id: UUID
    kind: str
    total: int
    last: Source
    earlier: list[Source]
    extra: dict[str, Any]
    note: str | None = None


def kind_of(by: int) -> str:
    return "even" if by % 2 == 0 else "odd"


def sum_keys(recorded: RecordedEvent) -> Iterable[Key]:
    """A count changes the sum of its kind; closing changes both, of which there may be none."""
    match recorded.event:
        case Counted(by=by):
            return [(recorded.stream_id, kind_of(by))]
    return [(recorded.stream_id, "even"), (recorded.stream_id, "odd")]


def summed(row: SumRow | None, recorded: RecordedEvent) -> SumRow | None:
    match recorded.event:
        case Counted(by=by):
            source = Source(recorded.event_id, recorded.recorded_at, Decimal(by) / 4, ["a", "ü", "\\"])
            if row is None:
                extra = {"first": by, "nested": {"list": [1, None, "x", 2**60, 0.5]}}
                return SumRow(recorded.stream_id, kind_of(by), by, source, [], extra)
            earlier = [*row.earlier, row.last][-2:]
            return msgspec.structs.replace(row, total=row.total + by, last=source, earlier=earlier)
    return msgspec.structs.replace(row, note="closed") if row else None


SUMS = Projection(
    name="sums",
    version=1,
    row=SumRow,
    key=("stream_id", "kind"),
    ddl="""create table {table} (
      stream_id uuid, kind text, total bigint not null, last json not null, earlier json not null,
      extra json not null, note text, primary key (stream_id, kind)
    )""",
    events=(Counted, Closed),
    keys=sum_keys,
    project=summed,
)


class StepRow(msgspec.Struct, frozen=True):
    position: int
    stream_id: UUID
    type: str


STEPS = Projection(
    name="steps",
    version=1,
    row=StepRow,
    key=("position",),
    ddl="create table {table} (position bigint primary key, stream_id uuid not null, type text not null)",
    events=(Opened, Counted, Closed),
    keys=lambda recorded: [(recorded.position,)],
    project=lambda _, recorded: StepRow(recorded.position, recorded.stream_id, recorded.type),
    append_only=True,
)

ALL = (TALLIES, SUMS, STEPS)


@contextlib.asynccontextmanager
async def projecting(store: EventStore, *projections: Projection[Any], rest: float = REST) -> AsyncIterator[Projector]:
    """Runs a projector for the length of a block."""
    projector = Projector(store, projections or ALL, rest=rest)
    await projector.prepare()
    task = asyncio.create_task(projector.run())
    try:
        yield projector
    finally:
        died = task.done()
        await stop(task)
        if died:
            task.result()  # says what it died of


def rows(sql: psycopg.Connection, table: str) -> list[tuple[Any, ...]]:
    """All rows, sorted."""
    table_rows = sql.execute(query.SQL("select * from {}").format(query.Identifier(table))).fetchall()
    return sorted(table_rows, key=repr)


async def expected(store: EventStore, projection: Projection[Any]) -> list[tuple[Any, ...]]:
    """The expected rows: the events folded one by one, without a database."""
    table: dict[Key, Any] = {}
    for recorded in await store.read_all(limit=1_000_000, types=projection.types):
        for key in projection.keys(recorded):
            table[key] = projection.project(table.get(key), recorded)
    expected_rows = [row for row in table.values() if row is not None]
    return sorted((tuple(column(value) for value in msgspec.structs.astuple(row)) for row in expected_rows), key=repr)


def column(value: Any) -> Any:
    """The value as psycopg returns it: `json` as lists and dicts."""
    if isinstance(value, msgspec.Struct | list | dict):
        return msgspec.json.decode(msgspec.json.encode(value))
    return value
