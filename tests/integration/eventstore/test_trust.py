"""Commands are decided on cached states: it saves queries, and results are the same as without a cache."""

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
    """Another replica on the same database, with a cache of its own."""
    async with EventStore.open(database, CODEC) as opened:
        yield opened


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Statements:
    return statements(monkeypatch)


async def test_a_command_on_a_cached_stream_needs_one_statement(store: EventStore, counted: Statements) -> None:
    stream = uuid4()
    await store.create(TALLY, stream, [Counted(1)], context())
    assert counted.of("append_events") == 1
    await store.handle(TALLY, stream, count(2), context())
    assert (counted.of("append_events"), counted.of("events where stream_id")) == (2, 0)


async def test_a_conflict_on_a_cached_state_is_decided_again(store: EventStore, other: EventStore) -> None:
    """On the recorded state."""
    stream = uuid4()
    await store.create(TALLY, stream, [Counted(1)], context())
    await other.handle(TALLY, stream, count(10), context())
    handled = await store.handle(TALLY, stream, count(100), context())
    assert (handled.state.total, handled.version) == (111, 3)


async def test_refusals_are_decided_on_the_recorded_state(store: EventStore, other: EventStore) -> None:
    """Also a decision without events, and an expected version."""
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


async def test_create_is_atomic_with_appends_beside_it(store: EventStore) -> None:
    """The repeated command returns the present state and records nothing."""
    stream, other_stream, command = uuid4(), uuid4(), context()
    beside = [StreamAppend(other_stream, 0, [Counted(5)])]
    created = await store.create(TALLY, stream, [Counted(1), Counted(2)], command, beside=beside)
    loaded = await store.load(TALLY, stream)
    assert (created.state, created.version) == (loaded.state, 2)
    first, last = await store.read_stream(stream)
    assert (created.began_at, created.recorded_at) == (first.recorded_at, last.recorded_at)
    assert (loaded.began_at, loaded.recorded_at) == (first.recorded_at, last.recorded_at)
    with pytest.raises(VersionConflict):
        await store.create(TALLY, uuid4(), [Counted(1)], context(), beside=beside)
    repeated = await store.create(TALLY, stream, [Counted(1), Counted(2)], command)
    assert (repeated.state, repeated.version, repeated.events) == (created.state, 2, ())


async def test_load_both_reads_two_states_with_one_statement(
    store: EventStore, other: EventStore, counted: Statements
) -> None:
    """With all newer events of other processes."""
    stream, other_stream = uuid4(), uuid4()
    await store.create(TALLY, stream, [Counted(1)], context())
    await store.create(TALLY, other_stream, [Counted(2)], context())
    await other.handle(TALLY, stream, count(10), context())
    before = counted.of("events where stream_id")
    first, second = await store.load_both(TALLY, stream, TALLY, other_stream)
    assert counted.of("events where stream_id") == before + 1
    assert (first.state.total, second.state.total) == (11, 2)
    for _ in range(20):
        await other.handle(TALLY, other_stream, count(1), context())
    first, second = await store.load_both(TALLY, stream, TALLY, other_stream)
    assert (first.state.total, second.state.total) == (11, 22)
    assert store.cached(TALLY, other_stream) == second


async def test_a_look_up_that_never_succeeds_ends_in_time(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """If it always finds the state outdated, `handle` raises StoreUnavailable after the deadline."""
    monkeypatch.setattr("shared.eventstore.stream_writer.DECIDE_WITHIN", 0.0)
    looks = 0

    async def look_up(_: Loaded[Tally]) -> bool:
        nonlocal looks
        looks += 1
        return False

    with pytest.raises(StoreUnavailable):
        await store.handle(TALLY, uuid4(), count(1), context(), look_up=look_up)
    assert looks == 1


async def test_concurrent_loads_share_queries(store: EventStore, other: EventStore, counted: Statements) -> None:
    """Each sees all that was recorded before its call, by any process."""
    streams = [uuid4() for _ in range(50)]
    for stream in streams:
        await store.create(TALLY, stream, [Counted(1)], context())
    for number, stream in enumerate(streams):
        if number % 2:
            await other.handle(TALLY, stream, count(number), context())
    before = counted.of("events")
    loaded = await asyncio.gather(*(store.load(TALLY, stream) for stream in streams))
    assert counted.of("events") == before + 1
    totals = [state.state.total for state in loaded]
    assert totals == [1 + number if number % 2 else 1 for number in range(len(streams))]
    assert [store.cached(TALLY, stream) for stream in streams] == loaded


async def test_loads_read_by_themselves_beyond_the_bound_of_a_shared_query(
    store: EventStore, other: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.eventstore.newer_events.MAX_BYTES", 1)
    stream_id, other_id = uuid4(), uuid4()
    for stream in (stream_id, other_id):
        await store.create(TALLY, stream, [Counted(1)], context())
        for _ in range(3):
            await other.handle(TALLY, stream, count(10), context())
    first, second = await store.load_both(TALLY, stream_id, TALLY, other_id)
    assert (first.state.total, second.state.total) == (31, 31)
    assert (first.version, second.version) == (4, 4)
