"""Process managers: each event reacted to at least once, in order per stream, and what they command done once."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID, uuid4, uuid5

import psycopg
import pytest

from shared.eventstore import EventStore, RecordedEvent, StreamAppend
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from tests.integration.eventstore.tally import CODEC, TALLY, Closed, Counted, Opened, context, count, counted
from tests.integration.eventstore.waiting import soon
from tests.integration.processes.reacting import NAME, Seen, caught_up, running
from tests.support.patience import PATIENCE, eventually


def mirror_of(stream: UUID) -> UUID:
    return uuid5(stream, "mirror")


def mirroring(store: EventStore) -> Callable[[RecordedEvent], Awaitable[None]]:
    """A reaction as services have them: an event of one stream becomes a command on another."""

    async def react(recorded: RecordedEvent) -> None:
        if recorded.context.actor == NAME:
            return  # its own
        assert isinstance(recorded.event, Counted)
        caused = recorded.context.caused(recorded.event_id, NAME)
        await store.handle(TALLY, mirror_of(recorded.stream_id), count(recorded.event.by), caused)

    return react


async def test_sees_all_of_history_and_what_comes(store: EventStore) -> None:
    """A new process begins with the first event, and only gets the types that it asked for."""
    seen, stream = Seen(), uuid4()
    await store.append([StreamAppend(stream, 0, [Opened("a"), Counted(1), Closed()])], context())
    async with running(store, seen, Opened, Closed):
        await eventually(lambda: seen.of(stream) == [1, 3], "it has seen what was there")
        await store.append([StreamAppend(stream, 3, [Counted(1), Opened("b")])], context())
        await eventually(lambda: seen.of(stream) == [1, 3, 5], "it sees what comes")
    assert [recorded.event for recorded in seen.events] == [Opened("a"), Closed(), Opened("b")]


async def test_goes_on_where_it_was(store: EventStore) -> None:
    """Its checkpoint is kept: what was done before it is not done again by the next run or another replica."""
    first, second = Seen(), Seen()
    appended = await store.append(counted(uuid4(), 0, *range(20)), context())
    async with running(store, first) as runner:
        await eventually(lambda: len(first.events) == 20, "all are done")
        await eventually(lambda: caught_up(runner), "its checkpoint is kept")
    assert await checkpoint(store, NAME) == appended.position
    later = await store.append(counted(uuid4(), 0, 1), context())
    async with EventStore.open(store.dsn, CODEC) as other, running(other, second):
        await eventually(lambda: second.positions == [later.position], "only the new one is done")


async def test_what_is_passed_over_is_written_down_seldom(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkpoint of a process moves with what it does; others' events alone are no reason to commit."""
    monkeypatch.setattr("shared.processes.process.CHECKPOINT_SELDOM", 10 * PATIENCE)

    async def reached(name: str, position: int) -> bool:
        return await checkpoint(store, name) == position

    async with running(store, Seen(), name="counts-v1"), running(store, Seen(), Opened, name="opens-v1"):
        for _ in range(3):
            opened = await store.append([StreamAppend(uuid4(), 0, [Opened("a")])], context())
            await eventually(partial(reached, "opens-v1", opened.position), "the one that did something has told")
        assert await checkpoint(store, "counts-v1") == 0
        done = await store.append(counted(uuid4(), 0, 1), context())
        await eventually(partial(reached, "counts-v1", done.position), "now the other one has, too")


async def test_a_new_name_begins_again(store: EventStore) -> None:
    """With the first event of history."""
    await store.append(counted(uuid4(), 0, 1, 2), context())
    one, two = Seen(), Seen()
    async with running(store, one, name="one-v1"), running(store, two, name="one-v2"):
        await eventually(lambda: len(one.events) == len(two.events) == 2, "both have seen everything")


async def test_one_that_replaces_another_begins_at_its_checkpoint(store: EventStore) -> None:
    """Which stays where it is; what this one remembers is read before its first event, and its loops run meanwhile."""
    before = await store.append(counted(uuid4(), 0, 1, 2), context())
    await set_checkpoint(store, "one-v1", before.position)
    later = await store.append(counted(uuid4(), 0, 3), context())
    seen, told, begun = Seen(), list[str](), asyncio.Event()

    async def begin() -> None:
        told.append(f"after {len(seen.events)} events")

    async def beside() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            told.append("stopped")

    async with running(store, seen, name="one-v2", replaces="one-v1", begin=begin, beside=(beside,)) as runner:
        await eventually(lambda: seen.positions == [later.position], "it has seen what came after the checkpoint")
        await begun.wait()
        await eventually(lambda: caught_up(runner), "its checkpoint is kept")
    assert told == ["after 0 events", "stopped"]
    assert await checkpoint(store, "one-v1") == before.position
    assert await checkpoint(store, "one-v2") == later.position


async def test_after_a_crash_it_repeats_and_nothing_happens_twice(store: EventStore) -> None:
    """Events behind the last checkpoint come again; commands derived from them are recorded once all the same."""
    streams = [uuid4() for _ in range(5)]
    for stream in streams:
        await store.append(counted(stream, 0, 1, 2, 3), context())
    mirror = mirroring(store)
    for _ in range(3):
        seen = Seen()

        async def react(recorded: RecordedEvent) -> None:
            await mirror(recorded)
            if recorded.context.actor != NAME:
                await seen(recorded)  # noqa: B023 - this round's

        async with running(store, react):
            await eventually(lambda: len(seen.events) >= 15, "all have been reacted to, again")  # noqa: B023
        async with store.reader() as cursor:
            await cursor.execute("update checkpoints set position = 0")
    for stream in streams:
        assert [recorded.event for recorded in await store.read_stream(mirror_of(stream))] == [
            Counted(1), Counted(2), Counted(3),
        ]  # fmt: skip


async def test_exactly_one_effect_when_connections_die(store: EventStore, sql: psycopg.Connection) -> None:
    """Cut off again and again while events come: every event has its effect, and none has two."""
    streams = [uuid4() for _ in range(8)]
    async with running(store, mirroring(store)):
        for version in range(10):
            await soon(asyncio.gather(*(store.append(counted(stream, version, 1), context()) for stream in streams)))
            if version % 2:
                sql.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity"
                    " where datname = current_database() and pid <> pg_backend_pid()"
                )
        await _mirrored(store, streams, 10)
    events = await store.read_all(limit=10_000)
    effects = Counter(recorded.context.causation_id for recorded in events if recorded.context.actor == NAME)
    assert set(effects) == {recorded.event_id for recorded in events if recorded.context.actor != NAME}
    assert set(effects.values()) == {1}


async def _mirrored(store: EventStore, streams: list[UUID], total: int) -> None:
    """Until each stream's mirror counts up to `total`."""

    async def there() -> bool:
        loaded = [await store.load(TALLY, mirror_of(stream)) for stream in streams]
        return all(each.state.total >= total for each in loaded)

    await eventually(there, "every event has had its effect")


async def test_in_order_per_stream_side_by_side_across(store: EventStore) -> None:
    """A slow reaction holds its own stream only: the others go on, each in its order."""
    slow, others = uuid4(), [uuid4() for _ in range(4)]
    seen, let_go, under_way = Seen(), asyncio.Event(), defaultdict[UUID, int](int)

    async def react(recorded: RecordedEvent) -> None:
        under_way[recorded.stream_id] += 1
        assert under_way[recorded.stream_id] == 1, "two events of one stream at once"
        if recorded.stream_id == slow and recorded.version == 1:
            await let_go.wait()
        await seen(recorded)
        under_way[recorded.stream_id] -= 1

    async with running(store, react):
        for version in range(10):
            for stream in (slow, *others):
                await store.append(counted(stream, version, version), context())
        await eventually(lambda: all(seen.of(stream) == list(range(1, 11)) for stream in others), "the others are done")
        assert seen.of(slow) == []
        let_go.set()
        await eventually(lambda: seen.of(slow) == list(range(1, 11)), "the slow one comes after")


async def test_one_of_two_replicas(store: EventStore) -> None:
    """Only the lease's holder reacts; when it goes, the other one takes over and misses nothing."""
    one, two = Seen(), Seen()
    async with EventStore.open(store.dsn, CODEC) as other:
        async with running(store, one):
            await store.append(counted(uuid4(), 0, 1), context())
            await eventually(lambda: len(one.events) == 1, "the first one reacts")
            second = running(other, two)
            await second.__aenter__()
            for number in range(2, 12):
                await store.append(counted(uuid4(), 0, 1), context())
                await eventually(lambda: len(one.events) == number, "the first one goes on")  # noqa: B023
            assert two.events == []
        await store.append(counted(uuid4(), 0, 1), context())
        await eventually(lambda: len(set(one.positions) | set(two.positions)) == 12, "the second one takes over")
        await second.__aexit__(None, None, None)


async def test_one_that_cannot_reach_what_it_needs_gives_up(store: EventStore) -> None:
    """Its leader lives and reaches PostgreSQL, so nobody would take its lease: it lets go, and the other one leads."""
    cut_off, one, two = asyncio.Event(), Seen(), Seen()

    async def lost() -> None:
        await cut_off.wait()

    async def hangs(recorded: RecordedEvent) -> None:
        await one(recorded)
        if cut_off.is_set():
            await asyncio.Event().wait()

    async with EventStore.open(store.dsn, CODEC) as other, running(store, hangs, lost=lost) as first:
        await store.append(counted(uuid4(), 0, 1), context())
        await eventually(lambda: len(one.events) == 1, "the first one reacts")
        async with running(other, two):
            cut_off.set()
            await store.append(counted(uuid4(), 0, 1), context())
            await eventually(lambda: len(two.events) >= 1, "the second one leads")
            assert not first.active


@pytest.mark.parametrize("positions", [[3, 7, 5], [1, 1]])
async def test_checkpoints_only_move_forward(store: EventStore, positions: list[int]) -> None:
    """One that comes late, from a replica that lost its lease, changes nothing."""
    assert await checkpoint(store, "x") == 0
    for position in positions:
        await set_checkpoint(store, "x", position)
    assert await checkpoint(store, "x") == max(positions)


async def test_a_checkpoint_moves_back_where_its_owner_says_so(store: EventStore) -> None:
    """The relay's does when the store went back: it is the position of the last event that its stream holds."""
    await set_checkpoint(store, "x", 5)
    await set_checkpoint(store, "x", 3, may_go_back=True)
    assert await checkpoint(store, "x") == 3
