"""The events that a process holds in memory for its followers: each reads at its own pace, and only recorded events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent, StoreUnavailable, recent_events
from shared.eventstore.sequence_reader import SELECT_SEQUENCE
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.integration.eventstore.waiting import soon
from tests.support.patience import eventually


@pytest.fixture
async def store(database: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, CODEC) as opened:
        yield opened


@pytest.fixture
async def other(store: EventStore) -> AsyncIterator[EventStore]:
    """The store of another process."""
    async with EventStore.open(store.dsn, CODEC) as opened:
        yield opened


class Queries:
    """Counts queries of the sequence.

    While `before` is clear, they wait to be sent; while `after` is clear, to return. They fail while `is_down`.
    """

    def __init__(self, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = self.answered = 0
        self.is_down = False
        self.before, self.after = asyncio.Event(), asyncio.Event()
        self.before.set()
        self.after.set()
        rows = store.pool.rows

        async def counting(query: Any, parameters: Any) -> Any:
            if query != SELECT_SEQUENCE:
                return await rows(query, parameters)
            self.count += 1
            await self.before.wait()
            if self.is_down:
                raise StoreUnavailable("down")
            result = await rows(query, parameters)
            self.answered += 1
            await self.after.wait()
            return result

        monkeypatch.setattr(store.pool, "rows", counting)


@pytest.fixture
def queries(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> Queries:
    return Queries(store, monkeypatch)


async def append(store: EventStore, events: int = 1) -> int:
    return (await store.append(counted(uuid4(), 0, *range(events)), context())).position


async def everything(store: EventStore, limit: int = 1000, after: int = 0) -> list[RecordedEvent]:
    """All events, as one follower reads them."""
    events: list[RecordedEvent] = []
    while (batch := await store.follow(after, limit)).size:
        events += batch.events
        after = batch.position
    return events


async def test_concurrent_followers_share_one_query(store: EventStore, queries: Queries) -> None:
    """Each of twenty gets all events, and the same objects."""
    await append(store, 5)
    batches = await soon(asyncio.gather(*(store.follow(0, 100) for _ in range(20))))
    assert queries.count == 1
    assert [[event.position for event in batch.events] for batch in batches] == [[1, 2, 3, 4, 5]] * 20
    assert all(batch.events[0] is batches[0].events[0] for batch in batches), "decoded once"


async def test_slow_followers_need_no_further_query(store: EventStore, queries: Queries) -> None:
    """One that takes two at a time, or comes later, gets the same events."""
    await append(store, 5)
    first = await everything(store)
    queries.count = 0
    assert first == await everything(store, 2)
    assert queries.count == 0


async def test_nothing_committed_before_the_call_is_missed(
    store: EventStore, other: EventStore, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A query that began before another process's append does not answer a later call."""
    await append(store)
    await everything(store)
    monkeypatch.setattr(recent_events, "FRESH", 0.0)
    queries_before = queries.count
    queries.after.clear()
    early = asyncio.create_task(store.follow(1, 100))
    await eventually(lambda: queries.answered > queries_before, "its query has been answered, and it does not know yet")
    position = await append(other)
    late = asyncio.create_task(store.follow(1, 100))
    await asyncio.sleep(0)
    queries.after.set()
    assert (await soon(early)).position == 1
    assert (await soon(late)).position == position


async def test_events_of_this_process_are_not_read(store: EventStore, other: EventStore, queries: Queries) -> None:
    """Events that others record in between are read; then it continues."""
    await append(store, 3)
    await everything(store)
    queries.count = 0
    await append(store, 2)
    held = await everything(store)
    assert queries.count == 0
    assert held == await store.read_all()
    queries.count = 0
    await append(other)
    await append(store)
    assert [event.position for event in await everything(store)] == list(range(1, 8))
    assert queries.count == 1
    queries.count = 0
    await asyncio.gather(append(store), append(store, 4), append(store, 2))
    held = await everything(store)
    assert queries.count == 0
    assert held == await store.read_all()


async def test_a_follower_that_is_behind_reads_by_itself(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then it shares the events in memory, which are bounded in number and bytes."""
    for bound, value in (("MAX_EVENTS", 3), ("MAX_BYTES", 500)):
        monkeypatch.setattr(recent_events, bound, value)
        head = await append(store, 20)
        assert [event.position for event in await everything(store)] == list(range(1, head + 1))
        assert len(store.recent.events) <= 5
        assert await store.recent.after(0, 100) is None
        assert (await store.follow(0, 4)).position == 4, "it reads by itself"
        assert await store.recent.after(head - 1, 100)
        monkeypatch.undo()


async def test_a_slow_follower_does_not_delay_others(store: EventStore) -> None:
    """Nothing is held for it beyond the bounds."""
    await append(store, 3)
    slow = await store.follow(0, 1)
    fast = slow.position
    for _ in range(5):
        await append(store, 10)
        fast = (await everything(store, after=fast))[-1].position
    assert fast == await store.head()
    assert [event.position for event in await everything(store, 7, slow.position)] == list(range(2, fast + 1))


async def test_a_cancelled_follower_does_not_cancel_others(store: EventStore, queries: Queries) -> None:
    await append(store)
    queries.before.clear()
    first, second = (asyncio.create_task(store.follow(0, 100)) for _ in range(2))
    await eventually(lambda: queries.count == 1, "it asks")
    first.cancel()
    queries.before.set()
    assert (await soon(second)).position == 1
    assert queries.count == 1


async def test_an_outage_fails_all_waiting_followers(store: EventStore, queries: Queries) -> None:
    await append(store)
    queries.is_down = True
    outcomes = await asyncio.gather(*(store.follow(0, 100) for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 3
    queries.is_down = False
    assert (await store.follow(0, 100)).position == 1


async def test_a_restore_drops_all_events_in_memory(store: EventStore) -> None:
    """As soon as the last one is missing in the store: no follower gets a lost event."""
    await append(store, 5)
    events = await everything(store)
    with psycopg.connect(store.dsn, autocommit=True) as sql:
        sql.execute("delete from events where position > 2")
        sql.execute("alter table events alter column position restart with 3")
    await append(store, 4)
    assert await store.recent.after(5, 100, events[-1].event_id) is None, "its event is gone: it finds out by itself"
    assert not store.recent.events
    assert [event.event_id for event in await everything(store)] == [event.event_id for event in await store.read_all()]


async def test_a_follower_with_another_event_at_its_position_reads_by_itself(store: EventStore) -> None:
    """Such as a relay, which names the last event that it has published."""
    await append(store, 3)
    events = await everything(store)
    assert await store.recent.after(2, 100, UUID(int=1)) is None
    assert await store.recent.after(2, 100, events[1].event_id)


async def test_an_undecodable_event_stops_only_followers_that_decode_it(store: EventStore) -> None:
    """Stops those who need it decoded, where it stands; those who pass it on go on."""
    await append(store, 5)
    with psycopg.connect(store.dsn, autocommit=True) as sql:
        sql.execute("update events set data = '{' where position = 3")
    assert (await store.follow(0, 100)).position == 2
    with pytest.raises(Exception, match="Input data was truncated"):
        await store.follow(2, 100)
    batch = await store.follow_held(0, 100)
    assert batch is not None
    assert batch.position == 5
    await append(store)
    assert [event.position for event in await everything(store, after=3)] == [4, 5, 6]


async def test_large_events_are_held_until_all_waiting_followers_have_them(
    store: EventStore, queries: Queries, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if they are larger than a page."""
    monkeypatch.setattr(recent_events, "FRESH", 1e9)
    large = b'{"type":"tally_counted.v1","by":1,"note":"' + b"x" * 700_000 + b'"}'
    for _ in range(12):
        await append(store)
    with psycopg.connect(store.dsn, autocommit=True) as sql:
        sql.execute("update events set data = %s", (large,))
    assert [event.position for event in await everything(store)] == list(range(1, 13))
    assert queries.count == 6, "three events in the first, two in each later one beside the one that is read again"
