"""Read tables follow the store: each event is applied once, soon, and the lag is reported."""

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


async def test_caught_up_tables_include_the_position(store: EventStore, sql: psycopg.Connection) -> None:
    """Read your writes: after waiting for an append's position, its rows are there."""
    async with projecting(store) as projector:
        for number in range(20):
            stream = uuid4()
            appended = await store.append([StreamAppend(stream, 0, [Opened(f"t{number}"), Counted(2)])], context())
            assert await projector.caught_up(appended.position, timeout=PATIENCE)
            assert sql.execute("select name, total, changes from tallies_v1 where id = %s", (stream,)).fetchone() == (
                f"t{number}", 2, 2,
            )  # fmt: skip


async def test_a_projection_may_delete_its_row(store: EventStore, sql: psycopg.Connection) -> None:
    """A later event may insert a new one."""
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
    """Rows are found by all columns of their key, and JSON is decoded to the Structs that were written."""
    stream, closed = uuid4(), uuid4()
    async with projecting(store, SUMS) as projector:
        for version in range(6):
            await store.append(counted(stream, version, version), context())
        await store.append(counted(closed, 0, 3), context())
        appended = await store.append([StreamAppend(closed, 1, [Closed()])], context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert rows(sql, "sums_v1") == await expected(store, SUMS)
    assert sql.execute("select kind, total, note from sums_v1 order by stream_id = %s, kind", (closed,)).fetchall() == [
        ("even", 6, None), ("odd", 9, None), ("odd", 3, "closed"),
    ]  # fmt: skip


@pytest.mark.parametrize("streams", [1, 49, 50, 51, 400])
async def test_batches_of_any_size_write_the_same_rows(
    store: EventStore, sql: psycopg.Connection, streams: int
) -> None:
    """Inserted, updated and deleted, by single statements or COPY."""
    ids = [uuid4() for _ in range(streams)]
    async with projecting(store) as projector:
        for version, event in enumerate([Opened("a"), Counted(4), Counted(-1)]):
            appended = await asyncio.gather(
                *(store.append([StreamAppend(stream, version, [event])], context()) for stream in ids)
            )
            assert await projector.caught_up(max(result.position for result in appended), PATIENCE)
        appended = await asyncio.gather(
            *(store.append([StreamAppend(stream, 3, [Closed()])], context()) for stream in ids[::2]),
            *(store.append(counted(stream, 3, 7), context()) for stream in ids[1::2]),
            *(store.append(counted(uuid4(), 0, 7), context()) for _ in ids),
        )
        assert await projector.caught_up(max(result.position for result in appended), PATIENCE)
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_an_append_only_table_reads_no_rows(store: EventStore, sql: psycopg.Connection) -> None:
    """An append-only table gets each event's row without reading any."""
    async with projecting(store, STEPS) as projector:
        await store.append(counted(uuid4(), 0, *range(100)), context())
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert rows(sql, "steps_v1") == await expected(store, STEPS)


async def test_events_are_applied_once_when_connections_end(store: EventStore, sql: psycopg.Connection) -> None:
    """The projector continues at the position of its rows; `changes` counts each event."""
    async with projecting(store) as projector:
        streams, appends = [uuid4() for _ in range(12)], 0

        async def write(stream_number: int) -> int:
            nonlocal appends
            position = 0
            for version in range(25):
                command = context()
                while True:
                    try:
                        appended = await store.append(counted(streams[stream_number], version, version), command)
                        break
                    except StoreUnavailable:  # cut off, too: repeated under its id
                        continue
                appends, position = appends + 1, appended.position
            return position

        writes = asyncio.gather(*(write(number) for number in range(len(streams))))
        for kills in range(1, 9):
            enough = kills * 30
            await eventually(lambda: appends >= enough, "more is written")  # noqa: B023 - awaited in the same turn
            sql.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
        last = max(await soon(writes))
        assert await projector.caught_up(last, PATIENCE)
    for projection in ALL:
        assert rows(sql, projection.table) == await expected(store, projection)


async def test_concurrent_projectors_are_fenced(store: EventStore, sql: psycopg.Connection) -> None:
    """Of two that believe to lead, one moves the tables; the other is rejected and reads the position again."""
    fenced = 0

    async def lead_without_a_lease(store: EventStore, instance: str) -> None:
        nonlocal fenced
        while True:
            try:
                await Leader(store, ALL, lease="one lease", instance=instance).run()
            except (OutdatedPosition, psycopg.OperationalError):  # the latter: a deadlock, which PostgreSQL resolves
                fenced += 1

    async with EventStore.open(store.dsn, CODEC) as other:
        projectors = [Projector(replica, ALL) for replica in (store, other)]
        for projector in projectors:
            await projector.prepare()
        tasks = [
            asyncio.create_task(lead_without_a_lease(replica, instance))
            for replica, instance in ((store, "a"), (other, "b"))
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
    """It continues where the other one stopped."""
    stream = uuid4()
    async with EventStore.open(store.dsn, CODEC) as other, projecting(other, TALLIES) as second:
        async with projecting(store, TALLIES) as first:
            appended = await store.append(counted(stream, 0, 1), context())
            assert await first.caught_up(appended.position, PATIENCE)
        appended = await store.append(counted(stream, 1, 1), context())
        assert await second.caught_up(appended.position, PATIENCE)
    assert sql.execute("select total, changes from tallies_v1").fetchall() == [(2, 2)]


async def test_notifications_wake_caught_up(store: EventStore) -> None:
    """In the projector's process and in others, without polling."""
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


async def test_caught_up_queries_after_a_lost_notification(store: EventStore) -> None:
    """Within a quarter of a second."""
    async with EventStore.open(store.dsn, CODEC) as other, projecting(store, TALLIES):
        deaf = Projector(other, (TALLIES,))
        other.watermarks.observe = lambda *_: None  # type: ignore[method-assign] # hears nothing
        appended = await store.append(counted(uuid4(), 0, 1), context())
        del other.watermarks.observe
        assert await soon(deaf.caught_up(appended.position, timeout=PATIENCE))


class TestWithoutAProjector:
    """No process projects: waits end, and the lag grows."""

    async def test_waiting_is_bounded(self, store: EventStore) -> None:
        """`caught_up` returns False, and the client gets the position to wait for."""
        projector = Projector(store, (TALLIES,))
        await projector.prepare()
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert not await soon(projector.caught_up(appended.position, timeout=0.3))

    async def test_waiting_is_bounded_when_all_connections_are_taken(self, store: EventStore) -> None:
        """The queries of the wait neither prolong it nor fail the recorded command."""
        projector = Projector(store, (TALLIES,))
        await projector.prepare()
        appended = await store.append(counted(uuid4(), 0, 1), context())
        async with contextlib.AsyncExitStack() as readers:
            for _ in range(8):
                await readers.enter_async_context(store.reader())
            async with asyncio.timeout(store.pool.timeout / 2):
                assert not await projector.caught_up(appended.position, timeout=0.3)

    async def test_the_lag_counts_waiting_events(self, store: EventStore) -> None:
        """In events and seconds, whether a projector runs or not."""
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
    """Other events do not matter, not even of types that the release does not know."""

    class Future(Counted, frozen=True, tag="tally_future.v9"):
        pass

    async with EventStore.open(store.dsn, Codec([Future])) as newer:
        await newer.append([StreamAppend(uuid4(), 0, [Future(1)])], context())
    async with projecting(store, TALLIES) as projector:
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await projector.caught_up(appended.position, PATIENCE)
    assert len(rows(sql, "tallies_v1")) == 1


async def test_rows_are_read_as_they_were_written(store: EventStore) -> None:
    """For its next event, a row is the same Struct, with types and nesting."""
    passed_rows: list[object] = []

    def project(row: object, recorded: RecordedEvent) -> object:
        passed_rows.append(row)
        after = SUMS.project(row, recorded)  # type: ignore[arg-type] # the row that this table gives
        passed_rows.append(after)
        return after

    watched = replace(SUMS, project=project)  # type: ignore[arg-type] # same rows
    stream = uuid4()
    async with projecting(store, watched) as projector:
        for version in range(3):
            appended = await store.append(counted(stream, version, 2), context())
            assert await projector.caught_up(appended.position, PATIENCE)
    assert passed_rows[0] is None
    assert passed_rows[1::2][:-1] == passed_rows[2::2]
    assert isinstance(passed_rows[-1], msgspec.Struct)
