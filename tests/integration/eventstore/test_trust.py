"""Commands that are decided on the state that this process saw last: what that saves, and that it never shows."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import uuid4

import pytest
import pytest_asyncio

from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.eventstore import EventStore, Loaded, StoreUnavailable, StreamAppend, VersionConflict
from tests.integration.eventstore.tally import CODEC, TALLY, Counted, Tally, context, count
from tests.support.statements import Statements, statements


@pytest_asyncio.fixture
async def other(database: str) -> AsyncIterator[EventStore]:
    """Another replica, which sees what is recorded and not what the first one remembers."""
    async with EventStore.open(database, CODEC) as opened:
        yield opened


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Statements:
    return statements(monkeypatch)


async def test_a_command_on_a_stream_that_was_seen_is_one_statement(store: EventStore, counted: Statements) -> None:
    stream = uuid4()
    await store.create(TALLY, stream, [Counted(1)], context())
    assert counted.of("append_events") == 1
    await store.handle(TALLY, stream, count(2), context())
    assert (counted.of("append_events"), counted.of("events where stream_id")) == (2, 0)


async def test_others_were_faster(store: EventStore, other: EventStore) -> None:
    """The append says so, and it is decided again on what they have recorded."""
    stream = uuid4()
    await store.create(TALLY, stream, [Counted(1)], context())
    await other.handle(TALLY, stream, count(10), context())
    handled = await store.handle(TALLY, stream, count(100), context())
    assert (handled.state.total, handled.version) == (111, 3)


async def test_a_refusal_is_of_what_is_recorded(store: EventStore, other: EventStore) -> None:
    """Also one that says that there is nothing to do, and one that expects a version."""
    stream = uuid4()
    await store.create(TALLY, stream, [Counted(1)], context())
    await other.handle(TALLY, stream, count(9), context())

    def at_ten(state: Tally) -> Sequence[Event]:
        if state.total < 10:
            raise Problem("CONFLICT", "not yet")
        return [Counted(1)]

    assert (await store.handle(TALLY, stream, at_ten, context())).state.total == 11
    await other.handle(TALLY, stream, count(9), context())
    nothing_below_20 = await store.handle(
        TALLY, stream, lambda state: [Counted(5)] if state.total == 20 else [], context()
    )
    assert nothing_below_20.state.total == 25
    await other.handle(TALLY, stream, count(1), context())
    handled = await store.handle(TALLY, stream, count(1), context(), expected_version=6)
    assert (handled.state.total, handled.version) == (27, 7)


async def test_a_new_stream_with_others_beside_it(store: EventStore) -> None:
    """All or nothing; the same command again answers what there is, and records nothing."""
    one, two, command = uuid4(), uuid4(), context()
    beside = [StreamAppend(two, 0, [Counted(5)])]
    made = await store.create(TALLY, one, [Counted(1), Counted(2)], command, beside=beside)
    loaded = await store.load(TALLY, one)
    assert (made.state, made.version) == (loaded.state, 2)
    first, last = await store.read_stream(one)
    assert (made.began_at, made.recorded_at) == (first.recorded_at, last.recorded_at)
    assert (loaded.began_at, loaded.recorded_at) == (first.recorded_at, last.recorded_at)
    with pytest.raises(VersionConflict):
        await store.create(TALLY, uuid4(), [Counted(1)], context(), beside=beside)
    again = await store.create(TALLY, one, [Counted(1), Counted(2)], command)
    assert (again.state, again.version, again.events) == (made.state, 2, ())


async def test_two_states_are_read_with_one_statement(
    store: EventStore, other: EventStore, counted: Statements
) -> None:
    """And are as new as what others have recorded, however much that is."""
    one, two = uuid4(), uuid4()
    await store.create(TALLY, one, [Counted(1)], context())
    await store.create(TALLY, two, [Counted(2)], context())
    await other.handle(TALLY, one, count(10), context())
    before = counted.of("events where stream_id")
    first, second = await store.load_both(TALLY, one, TALLY, two)
    assert counted.of("events where stream_id") == before + 1
    assert (first.state.total, second.state.total) == (11, 2)
    for _ in range(20):
        await other.handle(TALLY, two, count(1), context())
    first, second = await store.load_both(TALLY, one, TALLY, two)
    assert (first.state.total, second.state.total) == (11, 22)
    assert store.cached(TALLY, two) == second


async def test_a_state_that_stays_out_of_date_ends_in_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is looked up may say so again and again: the caller is answered all the same, once."""
    monkeypatch.setattr("shared.eventstore.stream_writer.DECIDE_WITHIN", 0.0)
    looks = 0

    async def look_up(_: Loaded[Tally]) -> bool:
        nonlocal looks
        looks += 1
        return False

    with pytest.raises(StoreUnavailable):
        await store.handle(TALLY, uuid4(), count(1), context(), look_up=look_up)
    assert looks == 1


async def test_many_who_read_at_once_share_their_queries(
    store: EventStore, other: EventStore, counted: Statements
) -> None:
    """And each is shown all that was recorded before he asked, by whomever."""
    streams = [uuid4() for _ in range(50)]
    for stream in streams:
        await store.create(TALLY, stream, [Counted(1)], context())
    for number, stream in enumerate(streams):
        if number % 2:
            await other.handle(TALLY, stream, count(number), context())
    before = counted.of("events")
    loaded = await asyncio.gather(*(store.load(TALLY, stream) for stream in streams))
    assert counted.of("events") == before + 1
    totals = [each.state.total for each in loaded]
    assert totals == [1 + number if number % 2 else 1 for number in range(len(streams))]
    assert [store.cached(TALLY, stream) for stream in streams] == loaded


async def test_more_newer_bytes_than_are_read_for_all_at_once(
    store: EventStore, other: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Everybody who asked reads by himself."""
    monkeypatch.setattr("shared.eventstore.newer_events.MAX_BYTES", 1)
    one, two = uuid4(), uuid4()
    for stream in (one, two):
        await store.create(TALLY, stream, [Counted(1)], context())
        for _ in range(3):
            await other.handle(TALLY, stream, count(10), context())
    first, second = await store.load_both(TALLY, one, TALLY, two)
    assert (first.state.total, second.state.total) == (31, 31)
    assert (first.version, second.version) == (4, 4)
