"""Commands: load, decide, append, and again on the newer state when another was faster."""

import asyncio
from collections.abc import Sequence
from uuid import uuid4

import pytest

from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.eventstore import EventStore, Handled
from tests.integration.eventstore.tally import CODEC, TALLY, Closed, Counted, Opened, Tally, context, count, counted
from tests.integration.eventstore.waiting import soon


def nothing(_: Tally) -> Sequence[Event]:
    return []


async def test_what_a_command_did(store: EventStore) -> None:
    """The answer holds the events decided, and the state, version and position after them."""
    stream = uuid4()
    opened = await store.handle(TALLY, stream, lambda _: [Opened("sheep"), Counted(2)], context())
    assert opened.events == (Opened("sheep"), Counted(2))
    assert (opened.state, opened.version) == (Tally("sheep", 2, 2), 2)
    assert opened.position == await store.head()


async def test_a_command_with_nothing_to_do(store: EventStore) -> None:
    """No events: nothing is recorded, and the answer is the state as it is."""
    stream = uuid4()
    assert await store.handle(TALLY, stream, nothing, context()) == Handled(Tally(), 0, 0)
    counted_once = await store.handle(TALLY, stream, count(1), context())
    unchanged = await store.handle(TALLY, stream, nothing, context())
    assert unchanged == Handled(Tally(total=1, changes=1), 1, counted_once.position)


async def test_a_refused_command_records_nothing(store: EventStore) -> None:
    """What `decide` raises comes through."""

    def refuse(_: Tally) -> Sequence[Event]:
        raise Problem("CONFLICT", "it is closed")

    with pytest.raises(Problem, match="it is closed"):
        await store.handle(TALLY, uuid4(), refuse, context())
    assert await store.head() == 0


async def test_decides_again_when_another_was_faster(store: EventStore) -> None:
    """The decision is made anew on the newer state, so a rule holds whoever comes first."""
    stream, seen = uuid4(), []

    def close_once(tally: Tally) -> Sequence[Event]:
        seen.append(tally.changes)
        return [] if tally.closed else [Closed()]

    async with EventStore.open(store.dsn, CODEC) as other:
        await soon(
            asyncio.gather(
                *(each.handle(TALLY, stream, close_once, context()) for each in (store, other) for _ in range(5))
            )
        )
    assert [recorded.event for recorded in await store.read_stream(stream)] == [Closed()]
    assert len(seen) > 10, "somebody came too late and looked again"


async def test_gives_up_when_others_are_always_faster(store: EventStore) -> None:
    """After so many attempts the caller is told to try again, and nothing of its command is recorded."""
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


async def test_only_at_the_version_that_the_caller_has_seen(store: EventStore) -> None:
    """`expected_version` is If-Match: at another version the command is refused, without a second attempt."""
    stream = uuid4()
    await store.handle(TALLY, stream, count(1), context())
    with pytest.raises(Problem) as stale:
        await store.handle(TALLY, stream, count(1), context(), expected_version=2)
    assert stale.value.code == "VERSION_CONFLICT"
    handled = await store.handle(TALLY, stream, count(1), context(), expected_version=1)
    assert handled.version == 2


async def test_one_of_two_who_saw_the_same(store: EventStore) -> None:
    """Of two commands with the same If-Match exactly one is done, however close they come."""
    stream = uuid4()
    await store.handle(TALLY, stream, count(1), context())
    results = await soon(
        asyncio.gather(
            *(store.handle(TALLY, stream, count(1), context(), expected_version=1) for _ in range(4)),
            return_exceptions=True,
        )
    )
    assert sorted(type(result).__name__ for result in results) == ["Handled", "Problem", "Problem", "Problem"]


async def test_a_stream_just_made(store: EventStore) -> None:
    """`new` skips the first look; a stream that is there after all is looked at then."""
    stream = uuid4()
    assert (await store.handle(TALLY, stream, count(1), context(), new=True)).version == 1
    assert (await store.handle(TALLY, stream, count(1), context(), new=True)).state.total == 2


async def test_a_repeatable_command_again(store: EventStore) -> None:
    """A command that came before is not decided again: its answer is the stream as it is now, and no events."""
    stream, told = uuid4(), context(repeatable=True)
    await store.handle(TALLY, stream, lambda _: [Counted(1), Counted(2)], told)
    later = await store.handle(TALLY, stream, count(4), context())

    def never(_: Tally) -> Sequence[Event]:
        raise AssertionError("it was decided again")

    again = await store.handle(TALLY, stream, never, told)
    assert again == Handled(later.state, later.version, later.position, ())


async def test_the_same_command_decided_twice(store: EventStore) -> None:
    """Without `repeatable` it is decided again, but not recorded again."""
    stream, told = uuid4(), context()
    await store.handle(TALLY, stream, count(1), told)
    later = await store.handle(TALLY, stream, count(4), context())
    again = await store.handle(TALLY, stream, count(1), told)
    assert again == Handled(later.state, later.version, later.position, ())
    assert [recorded.event for recorded in await store.read_stream(stream)] == [Counted(1), Counted(4)]


@pytest.mark.parametrize("repeatable", [False, True])
async def test_a_command_id_used_for_another_stream(store: EventStore, repeatable: bool) -> None:  # noqa: FBT001
    """It is refused with the reason: to answer "done" would lose the second command's events."""
    told = context(repeatable=repeatable)
    await store.handle(TALLY, uuid4(), count(1), told)
    with pytest.raises(ValueError, match=f"command id {told.command_id} was used for another stream"):
        await store.handle(TALLY, uuid4(), count(1), told)


async def test_the_same_command_at_two_replicas(store: EventStore) -> None:
    """A request that a proxy sent twice is done once, and both answers are the same but for the events."""
    stream, told = uuid4(), context(repeatable=True)
    async with EventStore.open(store.dsn, CODEC) as other:
        results = await soon(
            asyncio.gather(*(each.handle(TALLY, stream, count(1), told) for each in (store, other) * 3))
        )
    assert {(result.state, result.version, result.position) for result in results} == {
        (Tally(total=1, changes=1), 1, results[0].position)
    }
    assert sorted(len(result.events) for result in results) == [0, 0, 0, 0, 0, 1]
