"""Read tables follow the store: every event once, soon, and honestly when not."""

import asyncio
import contextlib
from dataclasses import replace
from uuid import uuid4

import msgspec
import psycopg
import pytest

from shared.eventstore import Codec, EventStore, RecordedEvent, StoreUnavailable, StreamAppend
from shared.projections import Projector
from shared.projections.leader import Leader
from shared.projections.positions import OutdatedPosition
from shared.stopping import stop
from tests.integration.eventstore.tally import CODEC, Closed, Counted, Opened, context, counted
from tests.integration.eventstore.waiting import soon
from tests.integration.projections.tables import ALL, STEPS, SUMS, TALLIES, expected, projecting, rows
from tests.support.patience import PATIENCE, eventually


async def test_a_write_is_there_when_its_position_is(store: EventStore, sql: psycopg.Connection) -> None:
    """Read your writes: once caught up with an append's position, its rows are there."""
    async with projecting(store) as projector:
        for number in range(20):
            stream = uuid4()
            appended = await store.append([StreamAppend(stream, 0, [Opened(f"t{number}"), Counted(2)])], context())
            assert await projector.caught_up(appended.position, timeout=PATIENCE)
            assert sql.execute("select name, total, changes from tallies_v1 where id = %s", (stream,)).fetchone() == (
                f"t{number}", 2, 2,
            )  # fmt: skip


async def test_a_row_may_end(store: EventStore, sql: psycopg.Connection) -> None:
    """A projection that answers None takes the row away; a later event may make a new one."""
    stream = uuid4()
    async with projecting(store) as projector:
        appended = await store.append([StreamAppend(stream, 0, [Opened("a"), Counted(1)])], context())
        assert await projector.caught_up(appended.position, PATIENCE)
        assert len(rows(sql, "tallies_v1")) == 1
        appended = await store.append([StreamAppend(stream, 2, [Closed()])], context())
        assert await projector.caught_up(appended.position, PATIENCE)
        assert rows(sql, "tallies_v1") == []
        appended = await store.append([StreamAppend(stream, 3, [Opened("b"), Closed(), Opened("c")])], context())
        assert await projector.caught_up(appended.position, PATIENCE)
        assert sql.execute("select name, changes from tallies_v1").fetchall() == [("c", 1)]


async def test_composite_keys_and_nested_columns(store: EventStore, sql: psycopg.Connection) -> None:
    """Rows are found by all columns of their key, and come back from `jsonb` as the Structs that they were."""
    one, two = uuid4(), uuid4()
    async with projecting(store, SUMS) as projector:
        for version in range(6):
            await store.append(counted(one, version, version), context())
        await store.append(counted(two, 0, 3), context())
        appended = await store.append([StreamAppend(two, 1, [Closed()])], context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert rows(sql, "sums_v1") == await expected(store, SUMS)
    assert sql.execute("select kind, total, note from sums_v1 order by stream_id = %s, kind", (two,)).fetchall() == [
        ("even", 6, None), ("odd", 9, None), ("odd", 3, "closed"),
    ]  # fmt: skip


@pytest.mark.parametrize("streams", [1, 49, 50, 51, 400])
async def test_few_rows_and_many(store: EventStore, sql: psycopg.Connection, streams: int) -> None:
    """One statement a row or COPY: added, edited and ended rows come out the same, in batches of any size."""
    ids = [uuid4() for _ in range(streams)]
    async with projecting(store) as projector:
        for version, event in enumerate([Opened("a"), Counted(4), Counted(-1)]):
            appended = await asyncio.gather(
                *(store.append([StreamAppend(stream, version, [event])], context()) for stream in ids)
            )
            assert await projector.caught_up(max(each.position for each in appended), PATIENCE)
        appended = await asyncio.gather(
            *(store.append([StreamAppend(stream, 3, [Closed()])], context()) for stream in ids[::2]),
            *(store.append(counted(stream, 3, 7), context()) for stream in ids[1::2]),
            *(store.append(counted(uuid4(), 0, 7), context()) for _ in ids),
        )
        assert await projector.caught_up(max(each.position for each in appended), PATIENCE)
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_a_history_only_grows(store: EventStore, sql: psycopg.Connection) -> None:
    """An append-only table gets each event's row without reading any."""
    async with projecting(store, STEPS) as projector:
        await store.append(counted(uuid4(), 0, *range(100)), context())
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert rows(sql, "steps_v1") == await expected(store, STEPS)


async def test_exactly_once_when_its_connections_die(store: EventStore, sql: psycopg.Connection) -> None:
    """Whenever the projector is cut off, it goes on where its rows are: `changes` counts each event once."""
    async with projecting(store) as projector:
        streams, done = [uuid4() for _ in range(12)], 0

        async def write(stream_number: int) -> int:
            nonlocal done
            position = 0
            for version in range(25):
                command = context()
                while True:
                    try:
                        appended = await store.append(counted(streams[stream_number], version, version), command)
                        break
                    except StoreUnavailable:  # cut off, too: repeated under its id
                        continue
                done, position = done + 1, appended.position
            return position

        writes = asyncio.gather(*(write(number) for number in range(len(streams))))
        for kills in range(1, 9):
            enough = kills * 30
            await eventually(lambda: done >= enough, "more is written")  # noqa: B023 - awaited in the same turn
            sql.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        last = max(await soon(writes))
        assert await projector.caught_up(last, PATIENCE)
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_two_projectors_fence_each_other(store: EventStore, sql: psycopg.Connection) -> None:
    """Two that both believe they lead: one moves on, the other is refused and looks again. No event counts twice."""
    fenced = 0

    async def lead_without_a_lease(store: EventStore, instance: str) -> None:
        nonlocal fenced
        while True:
            try:
                await Leader(store, ALL, lease="one lease", instance=instance).run()
            except (OutdatedPosition, psycopg.OperationalError):  # the latter: a deadlock, which PostgreSQL resolves
                fenced += 1

    async with EventStore.open(store.dsn, CODEC) as other:
        projectors = [Projector(each, ALL) for each in (store, other)]
        for projector in projectors:
            await projector.prepare()
        tasks = [
            asyncio.create_task(lead_without_a_lease(each, instance)) for each, instance in ((store, "a"), (other, "b"))
        ]
        streams = [uuid4() for _ in range(5)]
        version = 0
        while fenced < 3 or version < 30:
            results = await asyncio.gather(
                *(store.append(counted(stream, version, 1), context()) for stream in streams)
            )
            version += 1
        for projector in projectors:
            assert await projector.caught_up(max(result.position for result in results), PATIENCE)
        await stop(*tasks)
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_another_replica_takes_over(store: EventStore, sql: psycopg.Connection) -> None:
    """When the leader goes, the next one goes on where it stopped."""
    stream = uuid4()
    async with EventStore.open(store.dsn, CODEC) as other, projecting(other, TALLIES) as second:
        async with projecting(store, TALLIES) as first:
            appended = await store.append(counted(stream, 0, 1), context())
            assert await first.caught_up(appended.position, PATIENCE)
        appended = await store.append(counted(stream, 1, 1), context())
        assert await second.caught_up(appended.position, PATIENCE)
    assert sql.execute("select total, changes from tallies_v1").fetchall() == [(2, 2)]


async def test_caught_up_wakes_by_push(store: EventStore) -> None:
    """In the projector's process and in every other: nobody has to look again and again."""
    async with EventStore.open(store.dsn, CODEC) as other, projecting(store, TALLIES) as projector:
        with psycopg.connect(store.dsn, autocommit=True) as sql:
            listening = (
                "select count(*) from pg_stat_activity"
                " where datname = current_database() and query = 'listen watermarks'"
            )
            await eventually(lambda: sql.execute(listening).fetchone() == (2,), "both stores listen")
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await soon(other.watermarks.wait_for(TALLIES.watermark, appended.position, timeout=60))
        assert await soon(store.watermarks.wait_for(TALLIES.watermark, appended.position, timeout=60))
        assert await Projector(other, (TALLIES,)).caught_up(appended.position, timeout=0)
        assert await projector.caught_up(appended.position, timeout=0)


async def test_caught_up_from_another_process_that_heard_nothing(store: EventStore) -> None:
    """A lost notification costs a quarter of a second: it looks for itself."""
    async with EventStore.open(store.dsn, CODEC) as other, projecting(store, TALLIES):
        deaf = Projector(other, (TALLIES,))
        other.watermarks.observe = lambda *_: None  # type: ignore[method-assign] # hears nothing
        appended = await store.append(counted(uuid4(), 0, 1), context())
        del other.watermarks.observe
        assert await soon(deaf.caught_up(appended.position, timeout=PATIENCE))


class TestWithoutAProjector:
    """Nobody projects: waits end, and the numbers say so."""

    async def test_waiting_is_bounded(self, store: EventStore) -> None:
        """The answer is False, and the writer tells its client the position to wait for."""
        projector = Projector(store, (TALLIES,))
        await projector.prepare()
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert not await soon(projector.caught_up(appended.position, timeout=0.3))

    async def test_waiting_is_bounded_when_all_connections_are_taken(self, store: EventStore) -> None:
        """The wait's own looks neither prolong it nor fail the command that has been recorded."""
        projector = Projector(store, (TALLIES,))
        await projector.prepare()
        appended = await store.append(counted(uuid4(), 0, 1), context())
        async with contextlib.AsyncExitStack() as readers:
            for _ in range(8):
                await readers.enter_async_context(store.reader())
            async with asyncio.timeout(store.pool.timeout / 2):
                assert not await projector.caught_up(appended.position, timeout=0.3)

    async def test_the_lag_is_honest(self, store: EventStore) -> None:
        """Behind in events and in seconds: told by what waits, not by whether somebody lives."""
        async with projecting(store, TALLIES) as projector:
            appended = await store.append(counted(uuid4(), 0, 1), context())
            assert await projector.caught_up(appended.position, PATIENCE)
            (alive,) = await projector.lag()
        assert (alive.name, alive.position, alive.events, alive.seconds) == ("tallies_v1", appended.position, 0, 0)

        await store.append(counted(uuid4(), 0, 1, 2), context())
        (behind,) = await projector.lag()
        (further,) = await projector.lag()
        assert behind.events == 2
        assert 0 < behind.seconds < further.seconds
        (progress,) = await projector.progress()
        assert (progress.name, progress.waiting, progress.leader) == ("projection tallies_v1", 2, None)
        assert progress.stuck(patience=0) is not None


async def test_only_its_own_types_are_decoded(store: EventStore, sql: psycopg.Connection) -> None:
    """A table of some events takes no harm from others, not even from types that this version doesn't know."""

    class Future(Counted, frozen=True, tag="tally_future.v9"):
        pass

    async with EventStore.open(store.dsn, Codec([Future])) as newer:
        await newer.append([StreamAppend(uuid4(), 0, [Future(1)])], context())
    async with projecting(store, TALLIES) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert len(rows(sql, "tallies_v1")) == 1


async def test_rows_survive_as_what_they_were(store: EventStore) -> None:
    """A row read back for its next event is the same Struct that was written: types, nesting and all."""
    seen: list[object] = []

    def project(row: object, recorded: RecordedEvent) -> object:
        seen.append(row)
        after = SUMS.project(row, recorded)  # type: ignore[arg-type] # the row that this table gives
        seen.append(after)
        return after

    watched = replace(SUMS, project=project)  # type: ignore[arg-type] # same rows
    stream = uuid4()
    async with projecting(store, watched) as projector:
        for version in range(3):
            appended = await store.append(counted(stream, version, 2), context())
            assert await projector.caught_up(appended.position, PATIENCE)
    assert seen[0] is None
    assert seen[1::2][:-1] == seen[2::2]
    assert isinstance(seen[-1], msgspec.Struct)
