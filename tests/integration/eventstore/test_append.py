"""Appending: what is recorded, in which order, and what is rejected."""

import asyncio
from uuid import UUID, uuid4, uuid5

import msgspec
import psycopg
import pytest

from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.eventstore import (
    Appended,
    Context,
    EventStore,
    StoreUnavailable,
    StreamAppend,
    UnknownEventType,
    VersionConflict,
)
from shared.eventstore.watermarks import HEAD_WATERMARK
from tests.integration.eventstore.tally import CODEC, Closed, Counted, Opened, context, counted
from tests.integration.eventstore.waiting import soon, take_append_lock, writers_waiting
from tests.support.patience import eventually


async def test_events_are_read_as_they_were_appended(store: EventStore) -> None:
    """In order, with versions, ids, exact bytes and the command's context."""
    stream = uuid4()
    command = Context(uuid4(), "user:ada", correlation_id=uuid4(), traceparent="00-1-2-01")

    appended = await store.append([StreamAppend(stream, 0, [Opened("sheep"), Counted(2)])], command)

    opened, count_event = await store.read_stream(stream)
    assert [opened.event, count_event.event] == [Opened("sheep"), Counted(2)]
    assert [opened.version, count_event.version] == [1, 2]
    assert [opened.event_id, count_event.event_id] == [uuid5(command.command_id, "0"), uuid5(command.command_id, "1")]
    assert opened.data == b'{"type":"tally_opened.v1","name":"sheep"}'
    assert opened.context == count_event.context == command
    assert opened.recorded_at.tzinfo is not None
    assert appended == Appended(count_event.position, {stream: 2})
    assert await store.head() == count_event.position


async def test_append_returns_before_followers_continue(store: EventStore) -> None:
    """A command is answered before its events are published and projected."""
    went_on: list[str] = []
    head = await store.head()

    async def follow() -> None:
        while not await store.watermarks.wait_beyond(HEAD_WATERMARK, head):
            pass  # it is woken, too, when it had better look for itself
        went_on.append("follower")

    async def command() -> None:
        appended = await store.append([StreamAppend(uuid4(), 0, [Opened("a")])], context())
        assert store.watermarks.value(HEAD_WATERMARK) == appended.position
        went_on.append("command")

    await asyncio.gather(follow(), command())
    assert went_on == ["command", "follower"]


async def test_an_append_to_several_streams_is_atomic(store: EventStore) -> None:
    """If one of them has another version, none is written."""
    first, second = uuid4(), uuid4()
    both = [StreamAppend(first, 0, [Opened("a")]), StreamAppend(second, 0, [Opened("b"), Counted(1)])]

    appended = await store.append(both, context())
    assert appended.versions == {first: 1, second: 2}

    with pytest.raises(VersionConflict) as refused:
        await store.append([StreamAppend(first, 1, [Counted(5)]), StreamAppend(second, 1, [Counted(5)])], context())
    assert (refused.value.stream_id, refused.value.expected, refused.value.actual) == (second, 1, 2)
    assert len(await store.read_all()) == 3


async def test_a_conflict_fails_only_its_own_append(store: EventStore, sql: psycopg.Connection) -> None:
    """Appends of the same batch get results of their own."""
    existing, free = uuid4(), [uuid4() for _ in range(6)]
    await store.append(counted(existing, 0, 1), context())
    batches = store.writer.batches

    take_append_lock(sql)  # keeps the writer busy with one append, so that the others meet in its next batch
    tasks = [asyncio.create_task(store.append(counted(uuid4(), 0, 0), context()))]
    await eventually(lambda: writers_waiting(sql) == 1, "the writer waits for the lock")
    tasks += [asyncio.create_task(store.append(counted(stream, 0, 1, 2), context())) for stream in free[:3]]
    tasks += [asyncio.create_task(store.append(counted(existing, 0, 9), context()))]
    tasks += [asyncio.create_task(store.append(counted(stream, 0, 3), context())) for stream in free[3:]]
    await eventually(lambda: store.writer.waiting == 7, "they are all queued")
    sql.execute("rollback")

    results = await soon(asyncio.gather(*tasks, return_exceptions=True))
    conflicts = [result for result in results if isinstance(result, VersionConflict)]
    assert [(conflict.stream_id, conflict.actual) for conflict in conflicts] == [(existing, 1)]
    assert sum(isinstance(result, Appended) for result in results) == 7
    assert store.writer.batches == batches + 2, "seven appends went into one transaction"
    assert [len(await store.read_stream(stream)) for stream in free] == [2, 2, 2, 1, 1, 1]
    assert len(await store.read_stream(existing)) == 1


async def test_concurrent_appends_to_one_stream_conflict(store: EventStore) -> None:
    """Both were decided on the same version: the first one is recorded, the second raises VersionConflict."""
    stream = uuid4()
    results = await asyncio.gather(
        *(store.append(counted(stream, 0, by), context()) for by in (1, 2, 3)), return_exceptions=True
    )
    assert isinstance(results[0], Appended)
    assert [str(result) for result in results[1:]] == [f"stream {stream} is at version 1, not at 0"] * 2
    assert [recorded.event for recorded in await store.read_stream(stream)] == [Counted(1)]


async def test_consecutive_appends_to_one_stream_may_wait_together(store: EventStore) -> None:
    """Each expects the version that the one before it results in."""
    stream = uuid4()
    appended = await asyncio.gather(
        *(store.append(counted(stream, version, version), context()) for version in range(8))
    )
    assert [result.versions[stream] for result in appended] == list(range(1, 9))


async def test_a_repeated_command_is_recorded_once(store: EventStore) -> None:
    """Each repetition returns the first result."""
    first, second, command_context = uuid4(), uuid4(), context()
    command = [StreamAppend(first, 0, [Opened("a"), Counted(1)]), StreamAppend(second, 0, [Opened("b")])]

    appended = await store.append(command, command_context)
    await store.append(counted(first, 2, 7), context())
    repeated = await store.append(command, command_context)

    assert not appended.replayed
    assert repeated == Appended(appended.position, appended.versions, replayed=True)
    assert len(await store.read_all()) == 4


async def test_a_command_that_is_queued_twice_is_recorded_once(store: EventStore) -> None:
    """The other append is its replay."""
    stream, command = uuid4(), context()
    results = await asyncio.gather(*(store.append(counted(stream, 0, 1, 2), command) for _ in range(3)))
    assert sorted(result.replayed for result in results) == [False, True, True]
    assert {(result.position, result.versions[stream]) for result in results} == {(results[0].position, 2)}
    assert len(await store.read_stream(stream)) == 2


async def test_a_command_from_two_processes_is_recorded_once(store: EventStore, database: str) -> None:
    stream, command = uuid4(), context()
    async with EventStore.open(database, CODEC) as other:
        results = await asyncio.gather(
            *(replica.append(counted(stream, 0, 1), command) for replica in (store, other, store, other))
        )
    assert sorted(result.replayed for result in results) == [False, True, True, True]
    assert len({result.position for result in results}) == 1


async def test_a_command_id_reused_for_another_stream_returns_the_first_streams(store: EventStore) -> None:
    """So a caller detects the reuse."""
    first, second, command = uuid4(), uuid4(), context()
    appended = await store.append(counted(first, 0, 1), command)
    repeated = await store.append(counted(second, 0, 1), command)
    assert repeated == Appended(appended.position, {first: 1}, replayed=True)
    assert await store.read_stream(second) == []


async def test_an_append_that_postgresql_rejects_fails_alone(store: EventStore, sql: psycopg.Connection) -> None:
    """With PostgreSQL's error; the others of its batch are recorded."""
    sql.execute("alter table events add constraint small check (octet_length(data) < 100)")
    streams = [uuid4() for _ in range(5)]
    names = ["a", "b", "x" * 200, "d", "e"]
    results = await asyncio.gather(
        *(
            store.append([StreamAppend(stream, 0, [Opened(name)])], context())
            for stream, name in zip(streams, names, strict=True)
        ),
        return_exceptions=True,
    )
    assert isinstance(results[2], psycopg.errors.CheckViolation)
    assert [isinstance(result, Appended) for result in results] == [True, True, False, True, True]
    assert [len(await store.read_stream(stream)) for stream in streams] == [1, 1, 0, 1, 1]


async def test_a_malformed_append_fails_alone(store: EventStore) -> None:
    """The others are recorded, and the writer continues."""
    mistake = StreamAppend("no stream id", 0, [Counted(1)])  # type: ignore[arg-type] # the mistake
    results = await soon(
        asyncio.gather(
            store.append(counted(uuid4(), 0, 1), context()),
            store.append([mistake], context()),
            store.append(counted(uuid4(), 0, 1), context()),
            return_exceptions=True,
        )
    )
    assert [isinstance(result, Appended) for result in results] == [True, False, True]
    assert not isinstance(results[1], StoreUnavailable)
    assert (await soon(store.append(counted(uuid4(), 0, 1), context()))) is not None


class Foreign(Event, frozen=True, tag="foreign.v1"):
    pass


@pytest.mark.parametrize(
    ("appends", "error"),
    [
        ([StreamAppend(uuid4(), 0, [Foreign()])], UnknownEventType),
        ([StreamAppend(uuid4(), 0, [])], ValueError),
        ([], ValueError),
        ([StreamAppend(UUID(int=1), 0, [Closed()]), StreamAppend(UUID(int=1), 1, [Closed()])], ValueError),
    ],
    ids=["an event of another service", "no events", "no streams", "one stream twice"],
)
async def test_empty_and_ambiguous_appends_are_rejected(
    store: EventStore, appends: list[StreamAppend], error: type[Exception]
) -> None:
    """Before anything is sent."""
    with pytest.raises(error):
        await store.append(appends, context())
    assert await store.head() == 0


async def test_a_cancelled_append_is_not_written(store: EventStore, sql: psycopg.Connection) -> None:
    """If it was still waiting."""
    stream = uuid4()
    take_append_lock(sql)
    busy = asyncio.create_task(store.append(counted(uuid4(), 0, 1), context()))
    await eventually(lambda: writers_waiting(sql) == 1, "the writer waits for the lock")
    cancelled = asyncio.create_task(store.append(counted(stream, 0, 1), context()))
    await eventually(lambda: store.writer.waiting == 1, "it is queued")
    cancelled.cancel()
    sql.execute("rollback")
    await soon(busy)
    await soon(store.append(counted(uuid4(), 0, 1), context()))
    assert await store.read_stream(stream) == []


async def test_appends_to_a_closed_store_fail(database: str) -> None:
    """Also those that wait when it closes."""
    with psycopg.connect(database) as sql:
        async with EventStore.open(database, CODEC, max_batch=1) as store:
            take_append_lock(sql)
            waiting = [asyncio.create_task(store.append(counted(uuid4(), 0, 1), context())) for _ in range(3)]
            await eventually(lambda: writers_waiting(sql) == 1, "the writer waits for the lock")
        results = await soon(asyncio.gather(*waiting, return_exceptions=True))
    assert [type(result) for result in results] == [StoreUnavailable] * 3
    with pytest.raises(StoreUnavailable):
        await soon(store.append(counted(uuid4(), 0, 1), context()))


async def test_a_nul_character_is_rejected(store: EventStore) -> None:
    """Before it is recorded: read tables can't store it."""
    with pytest.raises(Problem, match="NUL"):
        await store.append([StreamAppend(uuid4(), 0, [Opened("a\0b")])], context())
    assert await store.head() == 0


async def test_history_is_readable_in_sql(store: EventStore, sql: psycopg.Connection) -> None:
    """The `history` view shows events and metadata as JSON."""
    command = context()
    await store.append([StreamAppend(uuid4(), 0, [Opened("sheep")])], command)
    row = sql.execute("select type, event->>'name', metadata->>'actor' from history").fetchone()
    assert row == ("tally_opened.v1", "sheep", "user:test")
    assert msgspec.json.decode((await store.read_all())[0].metadata)["command_id"] == str(command.command_id)
