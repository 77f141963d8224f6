"""Writers side by side on real connections: positions are the order of commits, so no tailer ever skips an event."""

import asyncio
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.eventstore import Appended, EventStore, VersionConflict
from shared.eventstore.append_statement import APPEND_LOCK, Append
from tests.integration.eventstore.tally import CODEC, TALLY, Counted, context, count, counted
from tests.integration.eventstore.waiting import first, soon, take_append_lock, writers_waiting
from tests.support.patience import eventually

INSERT = """
insert into events (event_id, stream_id, version, type, data, metadata)
values (gen_random_uuid(), %s, %s, 'tally_counted.v1', '{"type":"tally_counted.v1","by":1}',
        '{"command_id":"00000000-0000-0000-0000-000000000001","actor":"somebody"}')
returning position"""


def insert(connection: psycopg.Connection, stream_id: UUID, version: int = 1) -> int:
    row = connection.execute(INSERT, (stream_id, version)).fetchone()
    assert row
    return int(row[0])


async def test_a_slow_writer_makes_the_others_wait(store: EventStore, sql: psycopg.Connection) -> None:
    """No greater position can be committed while a smaller one is on its way, so the tailer can't pass it."""
    tail = store.tail(0)
    await store.append(counted(uuid4(), 0, 1), context())
    seen = await first(1, tail)

    with psycopg.connect(store.dsn, autocommit=True) as slow:
        take_append_lock(slow)
        reserved = insert(slow, uuid4())
        faster = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
        await eventually(lambda: writers_waiting(sql) == 1, "the faster writer waits")
        assert [event.position for event in await store.read_all()] == [seen[0].position]
        slow.execute("commit")

    appended = await soon(faster)
    assert appended.position > reserved
    assert [event.position for event in await first(2, tail)] == [reserved, appended.position]


async def test_a_writer_that_rolls_back_leaves_a_gap(store: EventStore, sql: psycopg.Connection) -> None:
    """Its positions are never used again; the tailer goes on behind the gap and misses nothing."""
    tail = store.tail(0)
    before = await store.append(counted(uuid4(), 0, 1), context())
    take_append_lock(sql)
    lost = [insert(sql, uuid4()) for _ in range(3)]
    waiting = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
    sql.execute("rollback")

    after = await soon(waiting)
    assert after.position > max(lost)
    assert [event.position for event in await first(2, tail)] == [before.position, after.position]


async def test_a_writer_that_dies_frees_the_others(store: EventStore, sql: psycopg.Connection) -> None:
    """The lock goes with the connection that held it: a killed process keeps nobody waiting."""
    slow = await psycopg.AsyncConnection.connect(store.dsn)
    await slow.execute("select pg_advisory_xact_lock(%s)", (APPEND_LOCK,))
    waiting = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
    await eventually(lambda: writers_waiting(sql) == 1, "the writer waits for the lock")
    await slow.close()
    appended = await soon(waiting)
    assert [event.position for event in await store.read_all()] == [appended.position]


async def test_two_stores_and_a_tailer_each(store: EventStore) -> None:
    """Writers of two processes take turns; both tailers see every event once, in the same order."""
    async with EventStore.open(store.dsn, CODEC) as other:
        tails = [asyncio.create_task(first(400, each.tail(0, limit=7))) for each in (store, other)]

        async def client(each: EventStore) -> None:
            stream = uuid4()
            for version in range(20):
                await each.append(counted(stream, version, version), context())

        await soon(asyncio.gather(*(client(each) for each in (store, other) for _ in range(10))))
        one, two = await soon(asyncio.gather(*tails))
    positions = [event.position for event in one]
    assert positions == sorted(set(positions))
    assert [event.event_id for event in one] == [event.event_id for event in two]
    for stream in {event.stream_id for event in one}:
        assert [event.version for event in one if event.stream_id == stream] == list(range(1, 21))


async def test_two_processes_race_for_one_stream(store: EventStore) -> None:
    """Of appends decided on the same version, exactly one wins, whichever process they come from."""
    stream = uuid4()
    async with EventStore.open(store.dsn, CODEC) as other:
        for version in range(10):
            results = await soon(
                asyncio.gather(
                    *(each.append(counted(stream, version, 1), context()) for each in (store, other, store, other)),
                    return_exceptions=True,
                )
            )
            assert sum(isinstance(result, Appended) for result in results) == 1
            assert sum(isinstance(result, VersionConflict) for result in results) == 3
    assert [event.version for event in await store.read_stream(stream)] == list(range(1, 11))


async def test_many_commands_on_one_stream(store: EventStore) -> None:
    """A stream that everybody writes to: each command decides again until it is its turn, and none is lost."""
    stream = uuid4()
    async with EventStore.open(store.dsn, CODEC) as other:
        await soon(
            asyncio.gather(
                *(each.handle(TALLY, stream, count(1), context(), attempts=200) for each in (store, other) * 30)
            )
        )
    loaded = await store.load(TALLY, stream)
    assert (loaded.version, loaded.state.total) == (60, 60)


async def test_a_hot_stream_leaves_room_for_the_others(store: EventStore) -> None:
    """Appends that can only come too late ride along with others' batches instead of taking one each."""
    hot = uuid4()
    write, sizes = store.writer._write, []

    async def observed(batch: list[Append]) -> None:
        sizes.append(len(batch))
        await write(batch)

    store.writer._write = observed  # type: ignore[method-assign] # counts round trips, changes nothing
    results = await soon(
        asyncio.gather(
            *(store.append(counted(hot, 0, 1), context()) for _ in range(600)),
            store.append(counted(uuid4(), 0, 1), context()),
            return_exceptions=True,
        )
    )
    assert sum(isinstance(result, Appended) for result in results) == 2
    assert isinstance(results[-1], Appended)
    assert store.writer.conflicts == 599
    assert len(sizes) < 10, f"601 appends took batches of {sizes}"


async def test_a_tailer_is_woken_by_another_process(store: EventStore) -> None:
    """What one process commits wakes the tailers of another at once, not at their next look."""
    async with EventStore.open(store.dsn, CODEC) as other:
        await _listening(other)
        appended = await store.append(counted(uuid4(), 0, 1), context())
        assert await soon(other.watermarks.wait_for("events", appended.position, timeout=60))


async def test_a_tailer_that_was_faster_than_the_answer(store: EventStore) -> None:
    """A tailer may read a commit before the writer hears of it: other processes are told of it all the same."""
    async with EventStore.open(store.dsn, CODEC) as other:
        await _listening(other)
        store.watermarks.observe("events", 7)
        store.watermarks.advance("events", 7)
        assert await soon(other.watermarks.wait_for("events", 7, timeout=60))


async def _listening(store: EventStore) -> None:
    """Until its watermarks listen, with LISTEN committed: notifications sent before that do not reach it."""
    with psycopg.connect(store.dsn, autocommit=True) as sql:
        await eventually(
            lambda: (
                sql.execute(
                    "select count(*) from pg_stat_activity"
                    " where datname = current_database() and query = 'listen watermarks' and state = 'idle'"
                ).fetchone()
                == (2,)
            ),
            "both stores listen",
        )


async def test_tailing_only_some_types(store: EventStore) -> None:
    """A tail of some types moves past the others: its position is the sequence's, not the last wanted event's."""
    stream = uuid4()
    appended = await store.append(counted(stream, 0, 1, 2, 3), context())
    batch = await soon(anext(store.tail(0, types=frozenset({"tally_opened.v1"}))))
    assert (batch.events, batch.position, batch.size) == ([], appended.position, 3)


async def test_a_tail_survives_the_end_of_its_connections(store: EventStore, sql: psycopg.Connection) -> None:
    """A tailer goes on over new connections, where it was."""
    tail = store.tail(0)
    await store.append(counted(uuid4(), 0, 1), context())
    await first(1, tail)
    waiting = asyncio.create_task(first(1, tail))
    for version in range(5):
        sql.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        appended = await soon(store.append(counted(uuid4(), 0, version), context()))
        (event,) = await waiting
        assert (event.position, event.event) == (appended.position, Counted(version))
        waiting = asyncio.create_task(first(1, tail))
    waiting.cancel()


@pytest.mark.parametrize("limit", [1, 3, 1000])
async def test_reading_everything_in_pieces(store: EventStore, limit: int) -> None:
    """`read_all` gives the whole sequence, whatever the size of the pieces; the last one is empty."""
    for _ in range(4):
        await store.append(counted(uuid4(), 0, 1, 2), context())
    positions: list[int] = []
    while piece := await store.read_all(positions[-1] if positions else 0, limit):
        assert len(piece) <= limit
        positions += [event.position for event in piece]
    assert len(positions) == 8
    assert positions == sorted(set(positions))
    assert positions[-1] == await store.head()
