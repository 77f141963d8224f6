"""Events that a relay can't publish are withheld: a message in their place names them, and other streams continue."""

from uuid import UUID, uuid4

from nats.js.api import StreamConfig

from shared.eventstore import Codec, EventStore, RecordedEvent, StreamAppend
from shared.eventstore.records import Context
from shared.handling import operator_actions, parking
from shared.messaging import connected
from tests.integration.messaging.parked import all_parked, connect, parked
from tests.integration.messaging.support import (
    EVENTS,
    STREAM,
    Broker,
    Text,
    background,
    count,
    published,
    relay,
    runner,
)
from tests.support.patience import eventually

END_LISTENERS = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and query = 'listen watermarks'"""


async def say(store: EventStore, stream: UUID, *texts: str) -> list[int]:
    positions = []
    for version, text in enumerate(texts):
        appended = await store.append([StreamAppend(stream, version, [Text(text=text)])], Context(uuid4(), "tester"))
        positions.append(appended.position)
    return positions


async def parked_by(store: EventStore, name: str) -> list[parking.Parked]:
    async with await connect(store) as connection:
        return await operator_actions.list_parked(connection, name)


async def _status(store: EventStore, parked_id: int, status: str, *, actions: int = 0) -> bool:
    async with await connect(store) as connection:
        row, history = await operator_actions.inspect(connection, parked_id)
        return row.status == status and len(history) >= actions


async def _none_parked(service: EventStore) -> bool:
    return not await parked(service)


async def _published_count(nats_url: str, count_: int) -> bool:
    return len(await published(nats_url)) == count_


async def test_a_rejected_event_is_withheld(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """It is parked, a message in its place names it, and its stream waits at consumers until it is retried."""
    big, small = uuid4(), uuid4()
    texts: list[tuple[UUID, str]] = []

    async def handle(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Text)
        texts.append((recorded.stream_id, recorded.event.text[:5]))

    publisher = relay(owner, nats_url)
    consumer = runner(service, nats_url, handle, events=(Text,))
    async with background(publisher.run, consumer.run), connected(nats_url, "test") as client:
        js = client.jetstream()
        await eventually(lambda: publisher.resyncs, "there is a stream")
        config = (await js.stream_info(STREAM)).config
        await js.update_stream(StreamConfig(**{**config.__dict__, "max_msg_size": 4000}))
        await say(owner, big, "one", "huge " * 2000, "three")
        await say(owner, small, "a", "b")
        await eventually(lambda: (small, "b") in texts, "what comes behind it is published and handled")
        assert [text for stream, text in texts if stream == big] == ["one"]
        [row] = await parked_by(owner, "relay")
        assert (row.stream_id, row.type) == (big, "text.v1")
        [progress] = await publisher.progress()
        assert progress.parked == 1
        headers = next(headers for _, headers, _ in await published(nats_url) if "ce-withheld" in headers)
        assert headers["ce-id"] == row.message_id
        waiting = await eventually(lambda: all_parked(service, 2), "it and the next one wait")
        assert [parked_event.status for parked_event in waiting] == ["parked", "waiting"]

        async with await connect(owner) as connection:
            await operator_actions.retry(connection, row.id, by="olga")
            await eventually(lambda: _status(owner, row.id, "parked", actions=3), "it is refused again")
            await js.update_stream(StreamConfig(**{**config.__dict__, "max_msg_size": -1}))
            await operator_actions.retry(connection, row.id, by="olga")
        await eventually(lambda: [text for stream, text in texts if stream == big] == ["one", "huge ", "three"], "all")
        await eventually(lambda: _status(owner, row.id, "handled"), "published after all")
        await eventually(lambda: _none_parked(service), "nothing waits any more")
        await say(owner, uuid4(), "later")
        await eventually(lambda: texts[-1][1] == "later", "publishing goes on")


async def test_a_rejected_event_in_the_middle_of_a_batch_is_found(owner: EventStore, nats_url: str) -> None:
    """Only the last message of a batch is acknowledged at first, then each one."""
    async with connected(nats_url, "test") as client:
        js = client.jetstream()
        publisher = relay(owner, nats_url)
        async with background(publisher.run):
            await eventually(lambda: publisher.resyncs, "there is a stream")
        config = (await js.stream_info(STREAM)).config
        await js.update_stream(StreamConfig(**{**config.__dict__, "max_msg_size": 4000}))
        big = uuid4()
        await say(owner, uuid4(), *"abc")
        [huge] = await say(owner, big, "huge " * 2000)
        await say(owner, uuid4(), *"def")
        second_relay = relay(owner, nats_url)
        async with background(second_relay.run):
            await eventually(lambda: _published_count(nats_url, 7), "all have a message")
            await say(owner, uuid4(), *"ghi")
            await eventually(lambda: _published_count(nats_url, 10), "publishing goes on")
    [row] = await parked_by(owner, "relay")
    assert (row.stream_id, row.position) == (big, huge)
    markers = [(int(headers["ce-position"]), "ce-withheld" in headers) for _, headers, _ in await published(nats_url)]
    assert markers == [(event.position, event.position == huge) for event in await owner.read_all()]


async def test_an_event_beyond_the_maximum_payload_is_not_sent(owner: EventStore, broker: Broker) -> None:
    """The server would close the connection."""
    broker.limit_payload(200_000)
    publisher = relay(owner, broker.url)
    async with background(publisher.run):
        await say(owner, uuid4(), "x" * 250_000, "next")
        await say(owner, uuid4(), "other")

        async def all_published() -> bool:
            return len(await published(broker.url)) == 3

        await eventually(all_published, "the others are published")
        [row] = await parked_by(owner, "relay")
    assert (row.error or "").startswith("it is larger than the broker's limit of 200000 bytes")
    assert publisher.resyncs == 1, "nothing broke"


async def test_a_retry_whose_notification_was_lost_is_found(owner: EventStore, broker: Broker) -> None:
    """When the listening connection is a new one, the relay queries."""
    publisher = relay(owner, broker.url)
    broker.limit_payload(200_000)
    async with background(publisher.run), await connect(owner) as connection:
        await eventually(lambda: publisher.resyncs, "it publishes")
        await say(owner, uuid4(), "x" * 250_000)
        [row] = await eventually(lambda: parked_by(owner, "relay"), "it is withheld")
        await connection.execute("alter table parked disable trigger parked_signal_retrying")
        await operator_actions.retry(connection, row.id, by="olga")
        await connection.execute(END_LISTENERS)
        await eventually(lambda: _status(owner, row.id, "parked", actions=3), "it was tried again")
        _, history = await operator_actions.inspect(connection, row.id)
    assert len(history) == 3


async def test_an_event_of_an_unknown_type_is_withheld(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """After time for a replica of the newer release to lead; until such a release runs."""
    mixed, other = uuid4(), uuid4()
    texts: list[tuple[UUID, str]] = []

    async def handle(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Text)
        texts.append((recorded.stream_id, recorded.event.text))

    consumer = runner(service, nats_url, handle, events=(Text,))
    await say(owner, mixed, "one", "two", "three")
    await say(owner, other, "a")
    async with EventStore.open(owner.dsn, Codec(EVENTS)) as older:
        before = relay(older, nats_url, unknown_patience=1.0)
        async with background(before.run, consumer.run):
            await count(older, uuid4(), 1)
            await eventually(lambda: before.trouble and "text.v1" in before.trouble, "it waits for another to lead")
            await eventually(lambda: _published_count(nats_url, 5), "the rest is published")
            rows = await parked_by(older, "relay")
            assert [(row.type, row.error) for row in rows] == [
                ("text.v1", "this release knows no event of type text.v1")
            ] * 4
            assert not texts
    async with background(relay(owner, nats_url).run, consumer.run):
        await eventually(lambda: len(texts) == 4, "the newer release publishes them by itself")
        assert [text for stream, text in texts if stream == mixed] == ["one", "two", "three"]
        await eventually(lambda: _none_parked(service), "nothing waits any more")
    assert await parked_by(owner, "relay") == []
