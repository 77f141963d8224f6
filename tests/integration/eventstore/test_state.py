"""Loading a stream's state: from its events, a snapshot or the cache, now or as of an earlier moment."""

import asyncio
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.eventstore import EventStore, Loaded, stream_reader
from shared.eventstore.snapshots import store_snapshot
from tests.integration.eventstore.tally import CODEC, SNAPSHOT_TALLY, TALLY, Tally, context, count, counted
from tests.support.patience import eventually


async def test_a_missing_stream_has_the_initial_state(store: EventStore) -> None:
    """At version 0."""
    assert await store.load(TALLY, uuid4()) == Loaded(Tally(), 0)


async def test_the_state_is_the_fold_of_the_events(store: EventStore) -> None:
    """With the version, position and time of the last one."""
    stream = uuid4()
    appended = await store.append(counted(stream, 0, 1, 2, 3), context())
    loaded = await store.load(TALLY, stream)
    last = (await store.read_stream(stream))[-1]
    assert loaded == Loaded(Tally(total=6, changes=3), 3, appended.position, last.recorded_at)


async def test_a_cached_state_is_updated(store: EventStore) -> None:
    """With the events that another process has appended."""
    stream = uuid4()
    await store.handle(TALLY, stream, count(1), context())
    async with EventStore.open(store.dsn, CODEC) as other:
        await other.handle(TALLY, stream, count(10), context())
        assert (await store.load(TALLY, stream)).state.total == 11
        await other.handle(TALLY, stream, count(100), context())
        handled = await store.handle(TALLY, stream, count(1000), context())
    assert (handled.state.total, handled.version) == (1111, 4)


async def test_the_cache_is_bounded(database: str) -> None:
    """It has the streams used last; others are read again."""
    async with EventStore.open(database, CODEC, cached_states=3) as store:
        streams = [uuid4() for _ in range(10)]
        for stream in streams:
            await store.handle(TALLY, stream, count(1), context())
        assert len(store._cache._states) == 3
        assert [(await store.load(TALLY, stream)).state.total for stream in streams] == [1] * 10
        assert len(store._cache._states) == 3


class TestAsOf:
    async def test_load_as_of_a_version(self, store: EventStore) -> None:
        """Beyond the end, the newest state."""
        stream = uuid4()
        await store.append(counted(stream, 0, 1, 10, 100), context())
        states = [await store.load(TALLY, stream, as_of=version) for version in range(5)]
        assert [loaded.state.total for loaded in states] == [0, 1, 11, 111, 111]
        assert [loaded.version for loaded in states] == [0, 1, 2, 3, 3]

    async def test_load_as_of_a_time(self, store: EventStore, sql: psycopg.Connection) -> None:
        """Including events at that time."""
        stream = uuid4()
        await store.append(counted(stream, 0, 1, 10, 100), context())
        set_times(sql, stream, {1: 10, 2: 20, 3: 30})
        states = {minute: await store.load(TALLY, stream, as_of=at(minute)) for minute in (9, 10, 19, 20, 29, 30, 40)}
        assert {minute: loaded.version for minute, loaded in states.items()} == {
            9: 0, 10: 1, 19: 1, 20: 2, 29: 2, 30: 3, 40: 3,
        }  # fmt: skip
        assert states[29].recorded_at == at(20)

    async def test_load_as_of_a_time_when_a_clock_went_back(self, store: EventStore, sql: psycopg.Connection) -> None:
        """The state is one that the stream had: no later events without earlier ones."""
        stream = uuid4()
        await store.append(counted(stream, 0, 1, 10, 100), context())
        set_times(sql, stream, {1: 10, 2: 30, 3: 20})
        loaded = await store.load(TALLY, stream, as_of=at(25))
        assert (loaded.version, loaded.state.total) == (1, 1)

    async def test_load_as_of_does_not_change_the_cache(self, store: EventStore) -> None:
        """The next command decides on the current state."""
        stream = uuid4()
        await store.append(counted(stream, 0, 1, 10), context())
        await store.load(TALLY, stream, as_of=1)
        assert (await store.handle(TALLY, stream, count(100), context())).state.total == 111


class TestSnapshots:
    async def test_a_snapshot_is_stored_every_so_many_events(self, store: EventStore, sql: psycopg.Connection) -> None:
        """It replaces the last one."""
        stream = uuid4()
        for expected in (None, None, 3, 3, 3, 6, 6):
            await store.handle(SNAPSHOT_TALLY, stream, count(1), context())
            await asyncio.gather(*store._snapshots)
            assert snapshot(sql, stream) == expected

    async def test_a_load_starts_at_the_snapshot(self, store: EventStore, sql: psycopg.Connection) -> None:
        stream = await snapshotted(store, sql)
        tamper(sql, stream)
        async with EventStore.open(store.dsn, CODEC) as fresh:
            loaded = await fresh.load(SNAPSHOT_TALLY, stream)
        assert (loaded.state.name, loaded.state.total, loaded.version) == ("from the snapshot", 4, 4)

    async def test_a_long_stream_without_a_snapshot_gets_one_with_its_next_command(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """Its whole history was folded, as after a release with another state version."""
        stream = uuid4()
        await store.append(counted(stream, 0, *range(10)), context())
        await store.handle(SNAPSHOT_TALLY, stream, count(1), context())
        await eventually(lambda: snapshot(sql, stream) == 11, "a snapshot")

    async def test_a_snapshot_of_another_state_version_is_not_used(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """The next snapshot replaces it."""
        stream = await snapshotted(store, sql)
        tamper(sql, stream)
        changed = replace(SNAPSHOT_TALLY, state_version=2)
        async with EventStore.open(store.dsn, CODEC) as fresh:
            assert (await fresh.load(changed, stream)).state == Tally(total=4, changes=4)
            for _ in range(2):
                await fresh.handle(changed, stream, count(1), context())
            await eventually(lambda: snapshot(sql, stream) == 6, "the new snapshot replaces the old")
        async with EventStore.open(store.dsn, CODEC) as fresh:
            assert (await fresh.load(changed, stream)).state == Tally(total=6, changes=6)

    async def test_an_unreadable_snapshot_is_ignored(self, store: EventStore, sql: psycopg.Connection) -> None:
        """If `state_version` was not incremented, the events are folded."""
        stream = await snapshotted(store, sql)
        sql.execute("update snapshots set data = %s", (b'{"total":"three"}',))
        async with EventStore.open(store.dsn, CODEC) as fresh:
            assert (await fresh.load(SNAPSHOT_TALLY, stream)).state == Tally(total=4, changes=4)

    async def test_an_older_replica_does_not_replace_a_newer_snapshot(
        self, store: EventStore, sql: psycopg.Connection
    ) -> None:
        """During a rolling update."""
        stream = await snapshotted(store, sql)
        sql.execute("update snapshots set schema = 2")
        await store_snapshot(store.pool, SNAPSHOT_TALLY, stream, Loaded(Tally(), 99))
        assert snapshot(sql, stream) == 3

    async def test_load_as_of_does_not_use_later_snapshots(self, store: EventStore, sql: psycopg.Connection) -> None:
        stream = await snapshotted(store, sql)
        tamper(sql, stream)
        assert (await store.load(SNAPSHOT_TALLY, stream, as_of=2)).state == Tally(total=2, changes=2)


def at(minute: int) -> datetime:
    return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minute)


def set_times(sql: psycopg.Connection, stream: UUID, minutes: dict[int, int]) -> None:
    for version, minute in minutes.items():
        sql.execute(
            "update events set recorded_at = %s where stream_id = %s and version = %s", (at(minute), stream, version)
        )


def snapshot(sql: psycopg.Connection, stream: UUID) -> int | None:
    """The version of the stream's snapshot."""
    row = sql.execute("select version from snapshots where stream_id = %s", (stream,)).fetchone()
    return row[0] if row else None


async def snapshotted(store: EventStore, sql: psycopg.Connection) -> UUID:
    """A stream of four events, with a snapshot at the third."""
    stream = uuid4()
    for _ in range(4):
        await store.handle(SNAPSHOT_TALLY, stream, count(1), context())
    await eventually(lambda: snapshot(sql, stream) == 3, "the snapshot is kept")
    return stream


def tamper(sql: psycopg.Connection, stream: UUID) -> None:
    """Changes the snapshot, so that a test detects who reads it."""
    sql.execute(
        "update snapshots set data = %s where stream_id = %s",
        (b'{"name":"from the snapshot","total":3,"changes":3}', stream),
    )


async def test_the_states_of_many_streams_are_read_together(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """In few queries, with streams that don't exist; a long one, and one at the bound in bytes, are complete, too."""
    monkeypatch.setattr(stream_reader, "MANY", 10)
    monkeypatch.setattr(stream_reader, "MOST_EACH", 5)
    streams = [uuid4() for _ in range(30)]
    for number, stream in enumerate(streams[:-1]):
        await store.append(counted(stream, 0, *([1] * (1 + number % 6))), context())
    queries = _counting(store, monkeypatch)
    states = await store.load_many(TALLY, streams)
    assert list(states) == streams
    assert [states[stream].state.total for stream in streams] == [1 + number % 6 for number in range(29)] + [0]
    assert {stream: await store.load(TALLY, stream) for stream in streams} == states
    assert queries[stream_reader.SELECT_STREAMS] == 3
    for most in (1, 150, 1000):
        monkeypatch.setattr(stream_reader, "PAGE_BYTES", most)
        assert await store.load_many(TALLY, streams) == states


async def test_a_command_is_decided_on_the_state_that_its_caller_has_read(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a query; on the recorded one if that is newer."""
    stream = uuid4()
    await store.append(counted(stream, 0, 1), context())
    basis = (await store.load_many(TALLY, [stream]))[stream]
    queries = _counting(store, monkeypatch)
    assert (await store.handle(TALLY, stream, count(1), context(), basis=basis)).state.total == 2
    assert queries.total() == 0
    assert (await store.handle(TALLY, stream, count(1), context(), basis=basis)).state.total == 3


def _counting(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Queries of the store from now on."""
    queries: Counter[str] = Counter()
    rows = store.pool.rows

    async def counting(query: str, *arguments: Any) -> Any:
        queries[query] += 1
        return await rows(query, *arguments)

    monkeypatch.setattr(store.pool, "rows", counting)
    return queries
