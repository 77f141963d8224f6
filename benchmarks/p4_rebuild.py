"""P4: a read table rebuilt from a million events, against a server-side cursor and COPY of the same rows."""

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import psycopg
import uvloop

from benchmarks.ground import Ground
from benchmarks.measure import Figure, resident_mib
from shared.contracts.event import Event
from shared.eventstore import Codec, EventStore, RecordedEvent
from shared.projections import Projection, Projector, rebuild

EVENTS = 1_000_000


class Entered(Event, frozen=True, tag="entered.v1"):
    """As a ledger's: one row each, the commonest kind of read table."""

    user_id: UUID
    amount: int
    source: str


class Entry(msgspec.Struct, frozen=True):
    position: int
    entry_id: UUID
    user_id: UUID
    amount: int
    source: str
    recorded_at: datetime


def project(_row: Entry | None, recorded: RecordedEvent) -> Entry:
    event = recorded.event
    assert isinstance(event, Entered)
    return Entry(recorded.position, recorded.stream_id, event.user_id, event.amount, event.source, recorded.recorded_at)


class Account(msgspec.Struct, frozen=True):
    user_id: UUID
    entries: int
    total: int
    last_at: datetime


def project_account(row: Account | None, recorded: RecordedEvent) -> Account:
    event = recorded.event
    assert isinstance(event, Entered)
    if row is None:
        return Account(event.user_id, 1, event.amount, recorded.recorded_at)
    return Account(event.user_id, row.entries + 1, row.total + event.amount, recorded.recorded_at)


def user_of(recorded: RecordedEvent) -> list[tuple[UUID]]:
    event = recorded.event
    assert isinstance(event, Entered)
    return [(event.user_id,)]


ENTRIES: Projection[Entry] = Projection(
    name="bench_entries",
    version=1,
    row=Entry,
    key=("position",),
    ddl="""
create table {table} (
  position bigint primary key, entry_id uuid not null, user_id uuid not null, amount bigint not null,
  source text not null, recorded_at timestamptz not null)""",
    events=(Entered,),
    keys=lambda recorded: [(recorded.position,)],
    project=project,
    append_only=True,
)
ACCOUNTS: Projection[Account] = Projection(
    name="bench_accounts",
    version=1,
    row=Account,
    key=("user_id",),
    ddl="""
create table {table} (
  user_id uuid primary key, entries bigint not null, total bigint not null, last_at timestamptz not null)""",
    events=(Entered,),
    keys=user_of,
    project=project_account,
)

INSERT_EVENTS = """
insert into events (event_id, stream_id, version, type, data, metadata)
select gen_random_uuid(), gen_random_uuid(), 1, 'entered.v1',
       convert_to(format('{"type":"entered.v1","user_id":"%%s","amount":%%s,"source":"promotion"}',
                         md5((n %% 50000)::text)::uuid, n %% 1000), 'UTF8'),
       convert_to('{"command_id":"' || gen_random_uuid() || '","actor":"bench"}', 'UTF8')
from generate_series(1, %s) as n"""
# The live table stays empty, so that only the rebuild is measured: it ends at the recorded position of the live table.
MOVE_TO_THE_END = "update read_tables set position = (select max(position) from events) where name = %s"
SELECT_PEER_ROWS = (
    "select position, entry_id, user_id, amount, source, recorded_at from bench_entries_v1 order by position"
)


async def ours(dsn: str, projection: Projection[Any]) -> tuple[float, float]:
    """Events per second, and the growth of resident memory in MiB after the first tenth."""
    codec = Codec([Entered])
    memory: list[float] = []
    async with EventStore.open(dsn, codec) as store:
        await Projector(store, [projection]).prepare()
        async with store.pool.connection() as connection:
            await connection.execute(MOVE_TO_THE_END, (projection.table,))
        began = time.perf_counter()
        result = await rebuild(store, projection, progress=lambda _at, _of: memory.append(resident_mib()))
        took = time.perf_counter() - began
    return result.events / took, max(memory) - memory[len(memory) // 10]


def cursor_and_copy(dsn: str) -> float:
    """Rows per second of a plain server-side cursor over the finished rows and COPY of them: no event is decoded."""
    with psycopg.connect(dsn) as reader, psycopg.connect(dsn) as writer:
        writer.execute("create table peer_entries (like bench_entries_v1 including all)")
        began = time.perf_counter()
        with reader.cursor("rows", binary=True) as rows, writer.cursor() as target:
            rows.itersize = 20_000
            rows.execute(SELECT_PEER_ROWS)
            with target.copy("copy peer_entries from stdin (format binary)") as copy:
                copy.set_types(["int8", "uuid", "uuid", "int8", "text", "timestamptz"])
                count = 0
                for row in rows:
                    copy.write_row(row)
                    count += 1
        writer.commit()
        return count / (time.perf_counter() - began)


def fill(dsn: str, events: int) -> None:
    """Makes a new store with `events` events."""

    async def make() -> None:
        async with EventStore.open(dsn, Codec([Entered])):
            pass  # its tables are there

    uvloop.run(make())
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(INSERT_EVENTS, (events,))
        connection.execute("vacuum analyze events")


def run(ground: Ground) -> Iterator[Figure]:
    events = ground.size(EVENTS, 50_000)
    dsn = ground.database("p4")
    fill(dsn, events)
    appended, growth = uvloop.run(ours(dsn, ENTRIES))
    folded, folded_growth = uvloop.run(ours(dsn, ACCOUNTS))
    copied = cursor_and_copy(dsn)
    peer = "server-side cursor and COPY of the same rows"
    for what, rate, grown, least in (
        ("append-only: one row each", appended, growth, 0.6),
        ("folded into 50,000 rows", folded, folded_growth, 0.4),
    ):
        yield Figure(
            "P4",
            f"read table rebuilt from {events:,} events, {what}",
            rate,
            "events/s",
            peer,
            copied,
            least,
            note=f"memory grew {grown:.0f} MiB",
        )
