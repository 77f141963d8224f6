"""Process managers: each event is handled at least once, in order per stream, and its commands are recorded once."""

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
from tests.integration.processes.reacting import NAME, Reaction, caught_up, running
from tests.support.patience import PATIENCE, eventually


def mirror_of(stream: UUID) -> UUID:
    return uuid5(stream, "mirror")


def mirroring(store: EventStore) -> Callable[[RecordedEvent], Awaitable[None]]:
    """A reaction as in services: an event of one stream leads to a command on another."""

    async def react(recorded: RecordedEvent) -> None:
        if recorded.context.actor == NAME:
            return  # its own
        assert isinstance(recorded.event, Counted)
        caused = recorded.context.caused(recorded.event_id, NAME)
        await store.handle(TALLY, mirror_of(recorded.stream_id), count(recorded.event.by), caused)

    return react


async def test_a_new_process_begins_with_the_first_event(store: EventStore) -> None:
    """It gets only its types."""
    reaction, stream = Reaction(), uuid4()
    await store.append([StreamAppend(stream, 0, [Opened("a"), Counted(1), Closed()])], context())
    async with running(store, reaction, Opened, Closed):
        await eventually(lambda: reaction.of(stream) == [1, 3], "it has seen what was there")
        await store.append([StreamAppend(stream, 3, [Counted(1), Opened("b")])], context())
        await eventually(lambda: reaction.of(stream) == [1, 3, 5], "it sees what comes")
    assert [recorded.event for recorded in reaction.events] == [Opened("a"), Closed(), Opened("b")]


async def test_a_process_continues_at_its_checkpoint(store: EventStore) -> None:
    """After a restart, and on another replica."""
    first, second = Reaction(), Reaction()
    appended = await store.append(counted(uuid4(), 0, *range(20)), context())
    async with running(store, first) as runner:
        await eventually(lambda: len(first.events) == 20, "all are done")
        await eventually(lambda: caught_up(runner), "its checkpoint is kept")
    assert await checkpoint(store, NAME) == appended.position
    later = await store.append(counted(uuid4(), 0, 1), context())
    async with EventStore.open(store.dsn, CODEC) as other, running(other, second):
        await eventually(lambda: second.positions == [later.position], "only the new one is done")


async def test_the_checkpoint_is_written_seldom_without_events_of_its_types(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Events of other types alone need no commit."""
    monkeypatch.setattr("shared.processes.process.CHECKPOINT_SELDOM", 10 * PATIENCE)

    async def is_reached(name: str, position: int) -> bool:
        return await checkpoint(store, name) == position

    async with running(store, Reaction(), name="counts-v1"), running(store, Reaction(), Opened, name="opens-v1"):
        for _ in range(3):
            opened = await store.append([StreamAppend(uuid4(), 0, [Opened("a")])], context())
            await eventually(
                partial(is_reached, "opens-v1", opened.position), "the one with an event has written its checkpoint"
            )
        assert await checkpoint(store, "counts-v1") == 0
        appended = await store.append(counted(uuid4(), 0, 1), context())
        await eventually(
            partial(is_reached, "counts-v1", appended.position), "the other one has written its checkpoint, too"
        )


async def test_a_process_with_a_new_name_begins_with_the_first_event(store: EventStore) -> None:
    await store.append(counted(uuid4(), 0, 1, 2), context())
    first_reaction, second_reaction = Reaction(), Reaction()
    async with running(store, first_reaction, name="one-v1"), running(store, second_reaction, name="one-v2"):
        await eventually(
            lambda: len(first_reaction.events) == len(second_reaction.events) == 2, "both have seen everything"
        )


async def test_a_process_that_replaces_another_begins_at_its_checkpoint(store: EventStore) -> None:
    """The other's checkpoint stays. `begin` is called before the first event, and loops of `beside` run meanwhile."""
    before = await store.append(counted(uuid4(), 0, 1, 2), context())
    await set_checkpoint(store, "one-v1", before.position)
    later = await store.append(counted(uuid4(), 0, 3), context())
    reaction, calls, is_running = Reaction(), list[str](), asyncio.Event()

    async def begin() -> None:
        calls.append(f"after {len(reaction.events)} events")

    async def beside() -> None:
        is_running.set()
        try:
            await asyncio.Event().wait()
        finally:
            calls.append("stopped")

    async with running(store, reaction, name="one-v2", replaces="one-v1", begin=begin, beside=(beside,)) as runner:
        await eventually(lambda: reaction.positions == [later.position], "it has seen what came after the checkpoint")
        await is_running.wait()
        await eventually(lambda: caught_up(runner), "its checkpoint is kept")
    assert calls == ["after 0 events", "stopped"]
    assert await checkpoint(store, "one-v1") == before.position
    assert await checkpoint(store, "one-v2") == later.position


async def test_events_are_repeated_after_a_crash_without_a_second_effect(store: EventStore) -> None:
    """Those after the checkpoint; commands derived from them are recorded once."""
    streams = [uuid4() for _ in range(5)]
    for stream in streams:
        await store.append(counted(stream, 0, 1, 2, 3), context())
    mirror = mirroring(store)
    for _ in range(3):
        reaction = Reaction()

        async def react(recorded: RecordedEvent) -> None:
            await mirror(recorded)
            if recorded.context.actor != NAME:
                await reaction(recorded)  # noqa: B023 - this round's

        async with running(store, react):
            await eventually(lambda: len(reaction.events) >= 15, "all have been reacted to, again")  # noqa: B023 - awaited within the round
        async with store.reader() as cursor:
            await cursor.execute("update checkpoints set position = 0")
    for stream in streams:
        assert [recorded.event for recorded in await store.read_stream(mirror_of(stream))] == [
            Counted(1), Counted(2), Counted(3),
        ]  # fmt: skip


async def test_each_event_has_one_effect_when_connections_end(store: EventStore, sql: psycopg.Connection) -> None:
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
    """Waits until each stream's mirror has counted up to `total`."""

    async def there() -> bool:
        loaded = [await store.load(TALLY, mirror_of(stream)) for stream in streams]
        return all(tally.state.total >= total for tally in loaded)

    await eventually(there, "every event has had its effect")


async def test_streams_are_handled_in_order_and_in_parallel(store: EventStore) -> None:
    """A slow reaction delays its own stream only."""
    slow, others = uuid4(), [uuid4() for _ in range(4)]
    reaction, let_go, under_way = Reaction(), asyncio.Event(), defaultdict[UUID, int](int)

    async def react(recorded: RecordedEvent) -> None:
        under_way[recorded.stream_id] += 1
        assert under_way[recorded.stream_id] == 1, "two events of one stream at once"
        if recorded.stream_id == slow and recorded.version == 1:
            await let_go.wait()
        await reaction(recorded)
        under_way[recorded.stream_id] -= 1

    async with running(store, react):
        for version in range(10):
            for stream in (slow, *others):
                await store.append(counted(stream, version, version), context())
        await eventually(
            lambda: all(reaction.of(stream) == list(range(1, 11)) for stream in others), "the others are done"
        )
        assert reaction.of(slow) == []
        let_go.set()
        await eventually(lambda: reaction.of(slow) == list(range(1, 11)), "the slow one comes after")


async def test_one_of_two_replicas_is_active(store: EventStore) -> None:
    """The other one takes over when the lease's holder ends."""
    first_reaction, second_reaction = Reaction(), Reaction()
    async with EventStore.open(store.dsn, CODEC) as other:
        async with running(store, first_reaction):
            await store.append(counted(uuid4(), 0, 1), context())
            await eventually(lambda: len(first_reaction.events) == 1, "the first one reacts")
            second = running(other, second_reaction)
            await second.__aenter__()
            for number in range(2, 12):
                await store.append(counted(uuid4(), 0, 1), context())
                await eventually(lambda: len(first_reaction.events) == number, "the first one goes on")  # noqa: B023 - awaited within the round
            assert second_reaction.events == []
        await store.append(counted(uuid4(), 0, 1), context())
        await eventually(
            lambda: len(set(first_reaction.positions) | set(second_reaction.positions)) == 12,
            "the second one takes over",
        )
        await second.__aexit__(None, None, None)


async def test_a_process_without_its_dependency_gives_up(store: EventStore) -> None:
    """Its lease would be renewed, since PostgreSQL is available. It releases it, and another replica leads."""
    cut_off, first_reaction, second_reaction = asyncio.Event(), Reaction(), Reaction()

    async def lost() -> None:
        await cut_off.wait()

    async def hangs(recorded: RecordedEvent) -> None:
        await first_reaction(recorded)
        if cut_off.is_set():
            await asyncio.Event().wait()

    async with EventStore.open(store.dsn, CODEC) as other, running(store, hangs, lost=lost) as first:
        await store.append(counted(uuid4(), 0, 1), context())
        await eventually(lambda: len(first_reaction.events) == 1, "the first one reacts")
        async with running(other, second_reaction):
            cut_off.set()
            await store.append(counted(uuid4(), 0, 1), context())
            await eventually(lambda: len(second_reaction.events) >= 1, "the second one leads")
            assert not first.active


@pytest.mark.parametrize("positions", [[3, 7, 5], [1, 1]])
async def test_checkpoints_only_move_forward(store: EventStore, positions: list[int]) -> None:
    """An update that arrives late, of a replica that lost its lease, is ignored."""
    assert await checkpoint(store, "x") == 0
    for position in positions:
        await set_checkpoint(store, "x", position)
    assert await checkpoint(store, "x") == max(positions)


async def test_a_checkpoint_may_go_back(store: EventStore) -> None:
    """As the relay's after a restore, to the last event in its stream."""
    await set_checkpoint(store, "x", 5)
    await set_checkpoint(store, "x", 3, may_go_back=True)
    assert await checkpoint(store, "x") == 3
