"""The relay publishes a store's events to its stream: all of them, once, in the store's order."""

import json
from uuid import uuid4

import psycopg
from nats.aio.msg import Msg
from nats.js.api import StreamConfig

from shared.eventstore import Context, EventStore, StreamAppend
from shared.eventstore.checkpoints import set_checkpoint
from shared.messaging import StreamLimits, connected
from tests.integration.messaging.support import (
    OWNER,
    STREAM,
    Broker,
    Counted,
    background,
    count,
    count_at_once,
    cut_connections,
    once_up,
    positions_published,
    published,
    relay,
)
from tests.support.patience import eventually
from tests.support.subscribing import listen


async def positions(store: EventStore) -> list[int]:
    return [event.position for event in await store.read_all(0, 100_000)]


async def all_published(store: EventStore, url: str) -> bool:
    return (await positions_published(url))[-1:] == (await positions(store))[-1:]


async def test_an_event_becomes_a_cloudevent_with_the_stored_bytes(owner: EventStore, nats_url: str) -> None:
    """Subject, headers and body have all that the store has of it."""
    stream_id, context = uuid4(), Context(uuid4(), "user:Jörg", uuid4(), uuid4(), f"00-{'a' * 32}-{'b' * 16}-01")
    async with background(relay(owner, nats_url).run):
        await owner.append([StreamAppend(stream_id, 0, [Counted(n=7)])], context)
        [(_, headers, body)] = await eventually(lambda: published(nats_url), "published")

    [recorded] = await owner.read_all()
    assert json.loads(body) == {"type": "counted.v1", "n": 7}
    assert body == recorded.data
    assert headers["subject"] == f"events.counting.counter.{stream_id}.counted.v1"
    assert {
        name: value for name, value in headers.items() if name not in {"subject", "Nats-Expected-Last-Sequence"}
    } == {
        "ce-specversion": "1.0",
        "ce-id": str(recorded.event_id),
        "ce-source": "/emprops/counting",
        "ce-type": "counted.v1",
        "ce-subject": str(stream_id),
        "ce-time": recorded.recorded_at.isoformat(),
        "content-type": "application/json",
        "ce-epoch": "1",
        "ce-position": str(recorded.position),
        "ce-streamversion": "1",
        "ce-actor": "user:J%C3%B6rg",
        "ce-commandid": str(context.command_id),
        "ce-correlationid": str(context.correlation_id),
        "ce-causationid": str(context.causation_id),
        "traceparent": context.traceparent,
        "Nats-Msg-Id": f"counting:{recorded.position}",
    }


async def test_the_stream_has_the_owners_subjects_and_limits(owner: EventStore, nats_url: str) -> None:
    """Changed limits are applied at the next start."""
    async with connected(nats_url, "test") as client:
        js = client.jetstream()
        for limits in (StreamLimits(), StreamLimits(max_age=3600, max_bytes=10_000_000)):
            publisher = relay(owner, nats_url, limits=limits)
            async with background(publisher.run):
                await eventually(lambda: publisher.resyncs, "synced")  # noqa: B023 - awaited within the round
            config = (await js.stream_info(STREAM)).config
            assert (config.subjects, config.storage) == ([f"events.{OWNER}.>"], "file")
            assert (config.max_age or 0, config.max_bytes) == (limits.max_age or 0, limits.max_bytes or -1)


async def test_settings_of_operators_are_kept(owner: EventStore, nats_url: str) -> None:
    """A relay changes only the limits that it is configured with."""
    publisher = relay(owner, nats_url)
    async with connected(nats_url, "operator") as client:
        js = client.jetstream()
        async with background(publisher.run):
            await eventually(lambda: publisher.resyncs, "there is a stream")
            config = (await js.stream_info(STREAM)).config
            theirs = {"max_age": 7200, "max_bytes": 5_000_000, "max_msg_size": 900_000, "description": "ours"}
            subjects = [*(config.subjects or ()), "events.archived.counting.>"]
            await js.update_stream(StreamConfig(**{**config.__dict__, **theirs, "subjects": subjects}))
        limited = relay(owner, nats_url, limits=StreamLimits(max_bytes=6_000_000))
        for restarted, most in ((relay(owner, nats_url), 5_000_000), (limited, 6_000_000)):
            async with background(restarted.run):
                await eventually(lambda: restarted.resyncs, "it is at work again")  # noqa: B023 - awaited within the round
            config = (await js.stream_info(STREAM)).config
            settings = (config.max_age, config.max_bytes, config.max_msg_size, config.description, config.subjects)
            assert settings == (7200, most, 900_000, "ours", subjects)


async def test_the_last_message_of_a_batch_acknowledges_all(owner: EventStore, nats_url: str) -> None:
    """Each message expects the one before it, so one acknowledgement is enough."""
    answers: list[int] = []

    async def note_answer(message: Msg) -> None:
        answer = json.loads(message.data or b"{}")
        if answer.get("stream") == STREAM and "seq" in answer and "type" not in answer:
            answers.append(answer["seq"])

    await count_at_once(owner, streams=10, amount=30)
    async with connected(nats_url, "listener") as client:
        inboxes, _, _ = client.new_inbox().rpartition(".")
        await listen(client, f"{inboxes}.>", note_answer)
        publisher = relay(owner, nats_url, batch=100)
        async with background(publisher.run):
            await eventually(lambda: publisher.published == 300, "all published")
        await eventually(lambda: 300 in answers, "the last acknowledgement is received")
    assert answers == [100, 200, 300]
    assert await positions_published(nats_url) == await positions(owner)


async def test_two_relays_without_a_lease_are_fenced(owner: EventStore, databases: object, nats_url: str) -> None:
    """Both publish the same store at once: no event twice, none skipped, in the store's order."""
    first, second = relay(owner, nats_url, batch=20), relay(owner, nats_url, batch=7)
    async with background(first.publish, second.publish):
        await eventually(lambda: first.resyncs and second.resyncs, "both are at work")
        await count_at_once(owner, streams=20, amount=20)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await eventually(lambda: first.resyncs + second.resyncs > 2, "one of them was refused, and looked again")
    assert await positions_published(nats_url) == await positions(owner)


async def test_gaps_in_positions_do_not_stop_the_relay(owner: EventStore, nats_url: str) -> None:
    """A rolled-back transaction leaves one."""
    async with background(relay(owner, nats_url).run):
        await count(owner, uuid4(), 1)
        async with await psycopg.AsyncConnection.connect(owner.dsn) as connection:
            await connection.execute(
                "select nextval(pg_get_serial_sequence('events', 'position')) from generate_series(1, 5)"
            )
        await count(owner, uuid4(), 1)
        await eventually(lambda: all_published(owner, nats_url), "all published")
    numbers = await positions_published(nats_url)
    assert numbers == await positions(owner)
    assert numbers[1] - numbers[0] > 5


async def test_the_relay_continues_after_nats_is_killed(owner: EventStore, broker: Broker) -> None:
    """With kill -9."""
    publisher = relay(owner, broker.url, batch=10)
    async with background(publisher.run):
        await count_at_once(owner, streams=5, amount=10)
        await eventually(lambda: publisher.published, "something published")
        broker.kill()
        await count_at_once(owner, streams=5, amount=10)
        assert (await publisher.lag()).events > 0
        assert (await publisher.lag()).seconds > 0
        broker.start()
        await eventually(lambda: all_published(owner, broker.url), "all published")
        lag = await publisher.lag()
    assert (lag.events, lag.seconds) == (0, 0.0)
    assert await positions_published(broker.url) == await positions(owner)


async def test_a_wiped_server_is_refilled(owner: EventStore, broker: Broker) -> None:
    """All events are published again, also if no new one is recorded."""
    publisher = relay(owner, broker.url)
    async with background(publisher.run):
        await count_at_once(owner, streams=5, amount=10)
        await eventually(lambda: all_published(owner, broker.url), "all published")
        broker.kill()
        broker.wipe()
        broker.start()
        await eventually(lambda: all_published(owner, broker.url), "refilled")
    assert await positions_published(broker.url) == await positions(owner)


async def test_a_deleted_stream_is_refilled(owner: EventStore, nats_url: str) -> None:
    """While the relay has nothing to publish: it checks at intervals."""
    async with background(relay(owner, nats_url).run), connected(nats_url, "test") as client:
        await count(owner, uuid4(), 1, 2, 3)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await client.jetstream().delete_stream(STREAM)
        await eventually(lambda: all_published(owner, nats_url), "refilled")
    assert await positions_published(nats_url) == await positions(owner)


async def test_publishing_to_a_stream_emptied_by_retention_continues_at_the_checkpoint(
    owner: EventStore, broker: Broker
) -> None:
    """A stream that has had messages is not filled again."""
    async with background(relay(owner, broker.url).run):
        before = await count(owner, uuid4(), 1, 2, 3)
        await eventually(lambda: all_published(owner, broker.url), "all published")
    async with connected(broker.url, "test") as client:
        await client.jetstream().purge_stream(STREAM)
    broker.kill()  # so that it forgets the ids that it has seen, too
    broker.start()
    await set_checkpoint(owner, "relay", before)
    async with background(relay(owner, broker.url).run):
        await count(owner, uuid4(), 1, 2)
        await eventually(lambda: all_published(owner, broker.url), "all published")
    assert await positions_published(broker.url) == [
        position for position in await positions(owner) if position > before
    ]


async def test_a_late_checkpoint_publishes_nothing_twice_within_the_window(owner: EventStore, nats_url: str) -> None:
    """The server answers `duplicate` for messages that it remembers."""
    async with background(relay(owner, nats_url).run), connected(nats_url, "test") as client:
        before = await count(owner, uuid4(), 1, 2, 3)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await client.jetstream().purge_stream(STREAM)
    await set_checkpoint(owner, "relay", (await positions(owner))[0])
    async with background(relay(owner, nats_url).run):
        await count(owner, uuid4(), 1)
        await eventually(lambda: all_published(owner, nats_url), "all published")
    assert await positions_published(nats_url) == [position for position in await positions(owner) if position > before]


async def test_messages_of_others_are_skipped(owner: EventStore, nats_url: str) -> None:
    """When the relay looks for its last message."""
    publisher = relay(owner, nats_url)
    async with background(publisher.run), connected(nats_url, "test") as client:
        js = client.jetstream()
        await count(owner, uuid4(), 1, 2)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        for _ in range(3):
            await js.publish(f"events.{OWNER}.counter.garbage", b"\xff", headers={"Nats-Msg-Id": f"x:{uuid4()}"})
        await count(owner, uuid4(), 1, 2)
        await eventually(lambda: all_published(owner, nats_url), "all published")
    assert await positions_published(nats_url) == await positions(owner)


async def test_one_relay_is_active_and_another_takes_over(owner: EventStore, nats_url: str) -> None:
    """When the first one ends."""
    first, second = relay(owner, nats_url), relay(owner, nats_url)
    async with background(first.run):
        await eventually(lambda: first.resyncs, "the first one leads")
        async with background(second.run):
            await count(owner, uuid4(), 1)
            await eventually(lambda: all_published(owner, nats_url), "all published")
            assert second.resyncs == 0
            assert (await second.lag()).events == 0, "the one that waits knows how far the active one is"
        async with background(second.run):
            pass
    async with background(second.run):
        await count(owner, uuid4(), 1)
        await eventually(lambda: all_published(owner, nats_url), "all published")
    assert (first.resyncs, second.resyncs) == (1, 1)


async def test_the_relay_continues_after_a_restart_of_postgresql(owner: EventStore, nats_url: str) -> None:
    """All connections are terminated."""
    async with background(relay(owner, nats_url).run):
        await count(owner, uuid4(), 1)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await cut_connections(owner.dsn)
        await once_up(lambda: count(owner, uuid4(), 1, 2))
        await eventually(lambda: all_published(owner, nats_url), "all published")
    assert await positions_published(nats_url) == await positions(owner)


async def test_publishing_to_a_full_stream_is_retried(owner: EventStore, nats_url: str) -> None:
    """With `discard: new`; progress has the error."""
    publisher = relay(owner, nats_url)
    async with connected(nats_url, "test") as client:
        js = client.jetstream()
        async with background(publisher.run):
            await eventually(lambda: publisher.resyncs, "synced")
            config = (await js.stream_info(STREAM)).config
            await js.update_stream(StreamConfig(**{**config.__dict__, "max_msgs": 1, "discard": "new"}))
            await count(owner, uuid4(), 1, 2)
            await eventually(lambda: publisher.trouble, "refused")
            await js.update_stream(StreamConfig(**{**config.__dict__, "max_msgs": -1}))
            await eventually(lambda: all_published(owner, nats_url), "all published")
    assert await positions_published(nats_url) == await positions(owner)
