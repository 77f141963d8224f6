"""Building a table anew: the same rows, beside the live table, while everything goes on."""

import asyncio
from dataclasses import replace
from importlib import import_module
from typing import Any
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent, StreamAppend
from shared.projections import Projection, Projector, rebuild
from shared.stopping import stop
from tests.integration.eventstore.tally import Closed, Counted, Opened, context, counted
from tests.integration.eventstore.waiting import PATIENCE, soon, until
from tests.integration.projections.tables import ALL, TALLIES, TallyRow, expected, projecting, rows, tally

REBUILD = import_module("shared.projections.rebuild")  # whose name the function has taken


class CountsRow(msgspec.Struct, frozen=True):
    """Version 2 of the tallies' rows: another column."""

    id: UUID
    name: str
    total: int
    changes: int
    highest: int


def counts(row: CountsRow | None, recorded: RecordedEvent) -> CountsRow | None:
    row = row or CountsRow(recorded.stream_id, "", 0, 0, 0)
    row = msgspec.structs.replace(row, changes=row.changes + 1)
    match recorded.event:
        case Opened(name=name):
            return msgspec.structs.replace(row, name=name)
        case Counted(by=by):
            return msgspec.structs.replace(row, total=row.total + by, highest=max(row.highest, by))
    return None


SECOND = replace(
    TALLIES,
    version=2,
    row=CountsRow,  # type: ignore[arg-type] # rows of the new version
    project=counts,  # type: ignore[arg-type] # likewise
    ddl="""create table {table} (
      id uuid primary key, name text not null, total bigint not null, changes bigint not null, highest bigint not null
    ); create index {table}_highest on {table} (highest)""",
)


async def some_history(store: EventStore, streams: int = 30) -> int:
    """Tallies opened, counted and, some of them, closed; returns the last position."""
    results = await asyncio.gather(
        *(
            store.append(
                [
                    StreamAppend(
                        uuid4(), 0, [Opened(f"t{n}"), *map(Counted, range(n % 7)), *([Closed()] if n % 5 == 0 else [])]
                    )
                ],
                context(),
            )
            for n in range(streams)
        )
    )
    return max(result.position for result in results)


async def projected(store: EventStore, *projections: Projection[Any]) -> int:
    """Lets a projector take in everything there is."""
    async with projecting(store, *projections) as projector:
        head = await store.head()
        assert await projector.caught_up(head, PATIENCE)
    return head


@pytest.mark.parametrize("projection", ALL, ids=lambda projection: projection.name)
async def test_the_same_rows(store: EventStore, sql: psycopg.Connection, projection: Projection[Any]) -> None:
    """Nothing is missing, nothing is extra, and the table stands where the live one stood."""
    await some_history(store)
    head = await projected(store)
    before = rows(sql, projection.name)
    result = await rebuild(store, projection)
    assert (result.missing, result.extra, result.position) == (0, 0, head)
    assert result.events == len(await store.read_all())
    assert rows(sql, projection.name) == before == await expected(store, projection)


async def test_while_writes_go_on(store: EventStore, sql: psycopg.Connection) -> None:
    """Again and again under load: nothing skipped, nothing twice, whichever moment the swap takes."""
    async with projecting(store) as projector:
        stop = asyncio.Event()

        async def write() -> int:
            position = 0
            while not stop.is_set():
                stream = uuid4()
                for version in range(5):
                    position = (await store.append(counted(stream, version, version), context())).position
            return position

        writers = [asyncio.create_task(write()) for _ in range(6)]
        for _ in range(3):
            for projection in ALL:
                result = await soon(rebuild(store, projection))
                assert (result.missing, result.extra) == (0, 0), projection.name
        stop.set()
        last = max(await asyncio.gather(*writers))
        assert await projector.caught_up(last, PATIENCE)
    for projection in ALL:
        assert rows(sql, projection.name) == await expected(store, projection)


async def test_while_the_projector_is_behind(store: EventStore, sql: psycopg.Connection) -> None:
    """The rebuilt table stands where the live one stood, so what comes after is applied once."""
    await some_history(store)
    await projected(store)
    await some_history(store)
    result = await rebuild(store, TALLIES)
    assert (result.missing, result.extra) == (0, 0)
    await projected(store)
    assert rows(sql, "tallies") == await expected(store, TALLIES)


async def test_in_small_batches(store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batches' size makes no difference; progress is told after each, up to the goal."""
    monkeypatch.setattr(REBUILD, "BATCH", 7)
    await some_history(store)
    head = await projected(store)
    told: list[tuple[int, int]] = []
    await rebuild(store, TALLIES, progress=lambda reached, goal: told.append((reached, goal)))
    assert len(told) > 5
    assert told == sorted(told)
    assert {goal for _, goal in told} == {head}, "nobody writes, so the goal stays"
    assert told[-1] == (head, head)
    assert rows(sql, "tallies") == await expected(store, TALLIES)


class TestComparing:
    """`swap=False` only looks: what the live table has that the events don't say, and the other way round."""

    async def test_a_sound_table(self, store: EventStore) -> None:
        await some_history(store)
        await projected(store)
        assert (await compare(store)) == (0, 0)

    async def test_a_row_that_was_changed(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("update tallies set total = total + 1 where name = 't1'")
        assert (await compare(store)) == (1, 1)

    async def test_rows_that_were_taken_away(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("delete from tallies where name in ('t1', 't2')")
        assert (await compare(store)) == (0, 2)

    async def test_a_row_that_was_put_in(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute(
            "insert into tallies select gen_random_uuid(), name, total, changes, changed_at from tallies limit 1"
        )
        assert (await compare(store)) == (1, 0)

    async def test_leaves_everything_as_it_was(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("update tallies set total = total + 1")
        before = rows(sql, "tallies")
        await compare(store)
        assert rows(sql, "tallies") == before
        assert tables(sql) == {"sums", "steps", "tallies"}

    async def test_a_rebuild_mends_it(self, store: EventStore, sql: psycopg.Connection) -> None:
        await some_history(store)
        await projected(store)
        sql.execute("update tallies set total = 0 where total > 0")
        assert (await rebuild(store, TALLIES)).missing > 0
        assert (await compare(store)) == (0, 0)
        assert rows(sql, "tallies") == await expected(store, TALLIES)


async def compare(store: EventStore) -> tuple[int, int]:
    result = await rebuild(store, TALLIES, swap=False)
    return result.missing, result.extra


def tables(sql: psycopg.Connection) -> set[str]:
    """The read tables that there are."""
    own = ("events", "snapshots", "checkpoints", "projections")
    found = sql.execute(
        "select tablename from pg_tables where schemaname = 'public' and tablename <> all(%s)", (list(own),)
    )
    return {row[0] for row in found}


class TestAtStart:
    async def test_a_new_version(self, store: EventStore, sql: psycopg.Connection) -> None:
        """A table whose version was raised is built anew before the projector goes on, here with another column."""
        await some_history(store)
        await projected(store)
        await some_history(store)
        await projected(store, SECOND, *ALL[1:])
        assert rows(sql, "tallies") == await expected(store, SECOND)
        assert sql.execute("select version from projections where name = 'tallies'").fetchone() == (2,)
        assert indexes(sql) == {"tallies_pkey", "tallies_highest"}

    async def test_a_new_version_before_the_first_event_was_seen(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """Events that no version has seen are taken in once."""
        await Projector(store, ALL).prepare()
        await some_history(store)
        await projected(store, SECOND, *ALL[1:])
        assert rows(sql, "tallies") == await expected(store, SECOND)

    async def test_the_old_version_again(self, store: EventStore, sql: psycopg.Connection) -> None:
        """Rolled back to the old version, its table is built anew too."""
        await some_history(store)
        await projected(store, SECOND)
        await projected(store, TALLIES)
        assert rows(sql, "tallies") == await expected(store, TALLIES)

    async def test_a_new_table_on_old_history(self, store: EventStore, sql: psycopg.Connection) -> None:
        """It is filled up to where the others are, and goes on with them."""
        await some_history(store)
        await projected(store, TALLIES)
        await some_history(store)
        await projected(store)
        for projection in ALL:
            assert rows(sql, projection.name) == await expected(store, projection)

    async def test_a_table_less(self, store: EventStore, sql: psycopg.Connection) -> None:
        """A projection that is no longer there keeps its table as it was, and holds nobody back."""
        await some_history(store)
        await projected(store)
        await some_history(store)
        await projected(store, TALLIES)
        assert rows(sql, "tallies") == await expected(store, TALLIES)
        await projected(store)
        for projection in ALL:
            assert rows(sql, projection.name) == await expected(store, projection)


async def test_cancelled(store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any point: the live table is as it was, its projector goes on, and the next rebuild is a whole one."""
    monkeypatch.setattr(REBUILD, "BATCH", 5)
    await some_history(store)
    async with projecting(store, TALLIES) as projector:
        assert await projector.caught_up(await store.head(), PATIENCE)
        before = rows(sql, "tallies")
        for steps in (0, 1, 5, 15):
            progress: list[int] = []
            task = asyncio.create_task(rebuild(store, TALLIES, progress=lambda reached, _: progress.append(reached)))  # noqa: B023
            await until(lambda: len(progress) >= steps or task.done(), "it is that far")  # noqa: B023
            await stop(task)
            assert rows(sql, "tallies") == before
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
        assert (await soon(rebuild(store, TALLIES))).missing == 0
    assert rows(sql, "tallies") == await expected(store, TALLIES)


async def test_two_at_once(store: EventStore, sql: psycopg.Connection) -> None:
    """The second waits for the first: two operators, or an operator and a start, don't get in each other's way."""
    await some_history(store)
    await projected(store, TALLIES)
    results = await soon(asyncio.gather(*(rebuild(store, TALLIES) for _ in range(3))))
    assert [(result.missing, result.extra) for result in results] == [(0, 0)] * 3
    assert rows(sql, "tallies") == await expected(store, TALLIES)


async def test_indexes_keep_their_names(store: EventStore, sql: psycopg.Connection) -> None:
    """So that the next rebuild can make them again, and an operator finds them."""
    await some_history(store)
    await projected(store, TALLIES)
    for _ in range(3):
        await rebuild(store, TALLIES)
        assert indexes(sql) == {"tallies_pkey", "tallies_name"}


def indexes(sql: psycopg.Connection) -> set[str]:
    return {row[0] for row in sql.execute("select indexname from pg_indexes where tablename = 'tallies'")}


async def test_memory_of_old_rows_is_not_kept(store: EventStore, sql: psycopg.Connection) -> None:
    """A table that a bug had filled wrongly is right after the version with the fix has started."""

    def forgetful(row: TallyRow | None, recorded: RecordedEvent) -> TallyRow | None:
        after = tally(row, recorded)
        return after and msgspec.structs.replace(after, total=0)

    await some_history(store)
    await projected(store, replace(TALLIES, project=forgetful))
    assert rows(sql, "tallies") != await expected(store, TALLIES)
    fixed = replace(TALLIES, version=2)
    await projected(store, fixed)
    assert rows(sql, "tallies") == await expected(store, fixed)
