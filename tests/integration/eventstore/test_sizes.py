"""Bounds in bytes: of an event, of a read, of caches and snapshots."""

from uuid import UUID, uuid4

import pytest
from msgspec.structs import replace

from shared.contracts.problem import Problem
from shared.eventstore import Context, EventStore, Loaded, StreamAppend
from shared.eventstore.codec import MAX_EVENT, MAX_MESSAGE, MAX_METADATA
from shared.eventstore.event_rows import PAGE_BYTES
from shared.eventstore.snapshots import MAX_SNAPSHOT, read_snapshot, store_snapshot
from shared.messaging.cloudevents import event_headers, event_subject
from tests.integration.eventstore.tally import CODEC, SNAPSHOT_TALLY, TALLY, Opened, Tally, context, counted
from tests.integration.eventstore.waiting import soon
from tests.integration.messaging.support import background, published, relay
from tests.support.patience import eventually

LARGE = Opened("x" * (MAX_EVENT - len(CODEC.encode(Opened(""))[1])))
"""As large as an event may be."""


async def large_ones(store: EventStore, stream: UUID, count: int) -> None:
    for version in range(count):
        await store.append([StreamAppend(stream, version, [LARGE])], context())


async def test_an_event_that_is_too_large_is_rejected(store: EventStore) -> None:
    """Before anything of its command is recorded; the largest allowed one is accepted."""
    stream = uuid4()
    with pytest.raises(Problem) as refused:
        await store.append([StreamAppend(stream, 0, [Opened("a"), Opened(LARGE.name + "x")])], context())
    assert refused.value.code == "PAYLOAD_TOO_LARGE"
    assert await store.head() == 0
    await large_ones(store, stream, 1)


async def test_a_context_is_bounded(store: EventStore) -> None:
    """It is sent in headers."""
    with pytest.raises(Problem) as refused:
        await store.append(counted(uuid4(), 0, 1), replace(context(), actor="x" * MAX_METADATA))
    assert refused.value.code == "PAYLOAD_TOO_LARGE"


async def test_the_largest_event_fits_into_a_message(store: EventStore, nats_url: str) -> None:
    """With its largest possible headers, under NATS's default limit."""
    command = replace(
        context(), correlation_id=uuid4(), causation_id=uuid4(), traceparent=f"00-{'a' * 32}-{'b' * 16}-01"
    )
    room = MAX_METADATA - len(await metadata_of(store, replace(command, actor="")))
    command = replace(command, command_id=uuid4(), actor="\u00fc" * (room // 2))
    await store.append([StreamAppend(uuid4(), 0, [LARGE])], command)
    [event] = (await store.read_undecoded(1, 10)).events
    headers = {**event_headers("counting", event), "Nats-Msg-Id": "x" * 100, "ce-epoch": "9" * 10}
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    assert len("NATS/1.0\r\n" + "".join(lines) + "\r\n") + len(event.data) <= MAX_MESSAGE
    assert event_subject("counting", event)
    async with background(relay(store, nats_url).run):
        messages = await eventually(lambda: published_two(nats_url), "it is published")
    assert len(messages[1][2]) == MAX_EVENT


async def metadata_of(store: EventStore, command: Context) -> bytes:
    await store.append(counted(uuid4(), 0, 1), command)
    return (await store.read_all())[0].metadata


async def published_two(url: str) -> list[tuple[int, dict[str, str], bytes]]:
    messages = await published(url)
    return messages if len(messages) == 2 else []


async def test_pages_of_the_sequence_are_bounded(store: EventStore) -> None:
    """A thousand of the largest events are read in several pages."""
    await large_ones(store, uuid4(), 20)
    position, sizes = 0, []
    while (batch := await store.read_batch(position, 1000)).size:
        sizes.append(sum(len(recorded.data) + len(recorded.metadata) for recorded in batch.events))
        undecoded = await store.read_undecoded(position, 1000)
        assert [recorded.position for recorded in undecoded.events] == [recorded.position for recorded in batch.events]
        position = batch.position
    assert len(sizes) == 3
    assert max(sizes) <= PAGE_BYTES + MAX_MESSAGE
    assert len(await store.read_all()) == 20
    assert (await soon(anext(store.tail(0)))).size == 9


async def test_a_long_stream_is_read_in_pages(store: EventStore) -> None:
    """Of any size; each event is read once."""
    stream = uuid4()
    await large_ones(store, stream, 20)
    await store.append(counted(stream, 20, *range(2500)), context())
    events = await store.read_stream(stream)
    assert [recorded.version for recorded in events] == list(range(1, 2521))
    assert [recorded.version for recorded in await store.read_stream(stream, after=5, limit=14)] == list(range(6, 20))
    assert (await store.load(TALLY, stream)).state.total == sum(range(2500))
    assert (await store.load(TALLY, stream, as_of=22)).version == 22
    assert (await store.load(TALLY, stream, as_of=events[-1].recorded_at)).version == 2520


async def test_cached_states_are_bounded_in_bytes(database: str) -> None:
    """Dropped ones are folded again."""
    async with EventStore.open(database, CODEC, cached_bytes=2 * MAX_EVENT + 1000) as store:
        streams = [uuid4() for _ in range(5)]
        for stream in streams:
            await store.handle(TALLY, stream, lambda _: [LARGE], context())
            assert store._cache.bytes <= 2 * MAX_EVENT + 1000
        for stream in streams:
            assert (await store.load(TALLY, stream)).state.name == LARGE.name


async def test_a_snapshot_is_bounded(store: EventStore) -> None:
    """A larger state is folded from its events."""
    small, large = uuid4(), uuid4()
    for stream, size in ((small, MAX_EVENT), (large, MAX_SNAPSHOT)):
        appended = await store.append(counted(stream, 0, 1), context())
        await store_snapshot(store.pool, SNAPSHOT_TALLY, stream, Loaded(Tally("x" * size), 1, appended.position))
    assert await read_snapshot(store.pool, SNAPSHOT_TALLY, small) is not None
    assert await read_snapshot(store.pool, SNAPSHOT_TALLY, large) is None
