"""Commands: load, decide, append, and again on the newer state after a version conflict."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.eventstore import EventStore, Handled, Loaded
from tests.integration.eventstore.tally import CODEC, TALLY, Closed, Counted, Opened, Tally, context, count, counted
from tests.integration.eventstore.waiting import soon


def nothing(_: Tally) -> Sequence[Event]:
    return []


async def test_a_command_returns_its_events_and_the_state_after_them(store: EventStore) -> None:
    """With version and position."""
    stream = uuid4()
    opened = await store.handle(TALLY, stream, lambda _: [Opened("sheep"), Counted(2)], context())
    assert opened.events == (Opened("sheep"), Counted(2))
    assert (opened.state, opened.version) == (Tally("sheep", 2, 2), 2)
    assert opened.position == await store.head()


async def test_a_command_without_events_records_nothing(store: EventStore) -> None:
    """It returns the current state."""
    stream = uuid4()
    assert await store.handle(TALLY, stream, nothing, context()) == Handled(Tally(), 0, 0)
    counted_once = await store.handle(TALLY, stream, count(1), context())
    unchanged = await store.handle(TALLY, stream, nothing, context())
    assert unchanged == Handled(Tally(total=1, changes=1), 1, counted_once.position)


async def test_a_refused_command_records_nothing(store: EventStore) -> None:
    """`handle` raises what `decide` raises."""

    def refuse(_: Tally) -> Sequence[Event]:
        raise Problem("CONFLICT", "it is closed")

    with pytest.raises(Problem, match="it is closed"):
        await store.handle(TALLY, uuid4(), refuse, context())
    assert await store.head() == 0


async def test_a_conflicting_command_is_decided_again(store: EventStore) -> None:
    """On the newer state, so that rules hold."""
    stream, decided_on = uuid4(), []

    def close_once(tally: Tally) -> Sequence[Event]:
        decided_on.append(tally.changes)
        return [] if tally.closed else [Closed()]

    async with EventStore.open(store.dsn, CODEC) as other:
        await soon(
            asyncio.gather(
                *(replica.handle(TALLY, stream, close_once, context()) for replica in (store, other) for _ in range(5))
            )
        )
    assert [recorded.event for recorded in await store.read_stream(stream)] == [Closed()]
    assert len(decided_on) > 10, "some commands were decided again"


async def test_a_command_fails_after_so_many_conflicts(store: EventStore) -> None:
    """Nothing is recorded."""
    stream, loop = uuid4(), asyncio.get_running_loop()
    async with EventStore.open(store.dsn, CODEC) as other:
        faster: list[asyncio.Task[object]] = []

        def decide(tally: Tally) -> Sequence[Event]:
            faster.append(loop.create_task(other.append(counted(stream, tally.changes, 0), context())))
            return [Counted(1)]

        original = store._append

        async def after_the_other(*arguments: object, **options: object) -> object:
            await faster[-1]
            return await original(*arguments, **options)  # type: ignore[arg-type] # handed through

        store._append = after_the_other  # type: ignore[method-assign,assignment] # makes sure that the other is faster
        with pytest.raises(Problem) as given_up:
            await soon(store.handle(TALLY, stream, decide, context(), attempts=3))
    assert given_up.value.code == "VERSION_CONFLICT"
    assert [recorded.event for recorded in await store.read_stream(stream)] == [Counted(0)] * 3


async def test_expected_version_rejects_another_version(store: EventStore) -> None:
    """As If-Match requires; without a second attempt."""
    stream = uuid4()
    await store.handle(TALLY, stream, count(1), context())
    with pytest.raises(Problem) as stale:
        await store.handle(TALLY, stream, count(1), context(), expected_version=2)
    assert stale.value.code == "VERSION_CONFLICT"
    handled = await store.handle(TALLY, stream, count(1), context(), expected_version=1)
    assert handled.version == 2


async def test_one_of_two_commands_with_the_same_expected_version_succeeds(store: EventStore) -> None:
    """However close they are."""
    stream = uuid4()
    await store.handle(TALLY, stream, count(1), context())
    results = await soon(
        asyncio.gather(
            *(store.handle(TALLY, stream, count(1), context(), expected_version=1) for _ in range(4)),
            return_exceptions=True,
        )
    )
    assert sorted(type(result).__name__ for result in results) == ["Handled", "Problem", "Problem", "Problem"]


async def test_a_new_stream_is_not_read(store: EventStore) -> None:
    """If it exists after all, the second attempt reads it."""
    stream = uuid4()
    assert (await store.handle(TALLY, stream, count(1), context(), new=True)).version == 1
    assert (await store.handle(TALLY, stream, count(1), context(), new=True)).state.total == 2


async def test_a_repeated_repeatable_command_is_not_decided_again(store: EventStore) -> None:
    """It returns the current state without events."""
    stream, command = uuid4(), context(repeatable=True)
    await store.handle(TALLY, stream, lambda _: [Counted(1), Counted(2)], command)
    later = await store.handle(TALLY, stream, count(4), context())

    def never(_: Tally) -> Sequence[Event]:
        raise AssertionError("it was decided again")

    repeated = await store.handle(TALLY, stream, never, command)
    assert repeated == Handled(later.state, later.version, later.position, ())


async def test_a_repeated_command_is_decided_but_not_recorded_again(store: EventStore) -> None:
    """If it is not `repeatable`."""
    stream, command = uuid4(), context()
    await store.handle(TALLY, stream, count(1), command)
    later = await store.handle(TALLY, stream, count(4), context())
    repeated = await store.handle(TALLY, stream, count(1), command)
    assert repeated == Handled(later.state, later.version, later.position, ())
    assert [recorded.event for recorded in await store.read_stream(stream)] == [Counted(1), Counted(4)]


@pytest.mark.parametrize("repeatable", [False, True])
async def test_a_command_id_reused_for_another_stream_is_rejected(store: EventStore, repeatable: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Otherwise the second command's events would be lost."""
    command = context(repeatable=repeatable)
    await store.handle(TALLY, uuid4(), count(1), command)
    with pytest.raises(ValueError, match=f"command id {command.command_id} was used for another stream"):
        await store.handle(TALLY, uuid4(), count(1), command)


async def test_a_command_at_two_replicas_is_recorded_once(store: EventStore) -> None:
    """Such as a request that a proxy sends twice; both results are equal but for the events."""
    stream, command = uuid4(), context(repeatable=True)
    async with EventStore.open(store.dsn, CODEC) as other:
        results = await soon(
            asyncio.gather(*(replica.handle(TALLY, stream, count(1), command) for replica in (store, other) * 3))
        )
    assert {(result.state, result.version, result.position) for result in results} == {
        (Tally(total=1, changes=1), 1, results[0].position)
    }
    assert sorted(len(result.events) for result in results) == [0, 0, 0, 0, 0, 1]


@pytest.mark.parametrize("expected_version", [1, None])
async def test_a_command_is_not_refused_for_what_it_has_done_at_another_replica(
    store: EventStore, expected_version: int | None
) -> None:
    """Recorded there after this replica looked for it: a request that was sent again gets its own success."""
    stream, command = uuid4(), context(repeatable=True)
    await store.handle(TALLY, stream, count(1), context())

    def close_once(tally: Tally) -> Sequence[Event]:
        if tally.closed:
            raise Problem("CONFLICT", "it is closed")
        return [Closed()]

    async with EventStore.open(store.dsn, CODEC) as other:

        async def other_is_faster(loaded: Loaded[Tally]) -> bool:
            if loaded.version == 1:
                await other.handle(TALLY, stream, close_once, command, expected_version=expected_version)
            return loaded.version > 1

        handled = await soon(
            store.handle(TALLY, stream, close_once, command, expected_version=expected_version, look_up=other_is_faster)
        )
    assert (handled.state.closed, handled.version, handled.events) == (True, 2, ())
    assert [recorded.event for recorded in await store.read_stream(stream)] == [Counted(1), Closed()]


async def test_another_command_is_refused_for_what_was_done_at_another_replica(store: EventStore) -> None:
    """Though it is repeatable, too."""
    stream = uuid4()
    await store.handle(TALLY, stream, count(1), context())
    await store.handle(TALLY, stream, count(2), context(repeatable=True), expected_version=1)
    with pytest.raises(Problem) as stale:
        await store.handle(TALLY, stream, count(2), context(repeatable=True), expected_version=1)
    assert stale.value.code == "VERSION_CONFLICT"
