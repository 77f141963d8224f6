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
    """Subject, headers and body say everything that the store knows of it."""
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


async def test_the_stream_is_the_owners_and_follows_its_limits(owner: EventStore, nats_url: str) -> None:
    """It is created with the subjects of its owner on disk; changed limits are applied at the next start."""
    async with connected(nats_url, "test") as client:
        js = client.jetstream()
        for limits in (StreamLimits(), StreamLimits(max_age=3600, max_bytes=10_000_000)):
            publisher = relay(owner, nats_url, limits=limits)
            async with background(publisher.run):
                await eventually(lambda: publisher.resyncs, "synced")  # noqa: B023 - awaited within the round
            config = (await js.stream_info(STREAM)).config
            assert (config.subjects, config.storage) == ([f"events.{OWNER}.>"], "file")
            assert (config.max_age or 0, config.max_bytes) == (limits.max_age or 0, limits.max_bytes or -1)


async def test_what_an_operator_has_set_on_the_stream_stays(owner: EventStore, nats_url: str) -> None:
    """A relay that is told nothing about limits changes none; one that is, changes those and nothing else."""
    publisher = relay(owner, nats_url)
    async with connected(nats_url, "operator") as client:
        js = client.jetstream()
        async with background(publisher.run):
            await eventually(lambda: publisher.resyncs, "there is a stream")
            config = (await js.stream_info(STREAM)).config
            theirs = {"max_age": 7200, "max_bytes": 5_000_000, "max_msg_size": 900_000, "description": "ours"}
            subjects = [*(config.subjects or ()), "events.archived.counting.>"]
            await js.update_stream(StreamConfig(**{**config.__dict__, **theirs, "subjects": subjects}))
        again = relay(owner, nats_url, limits=StreamLimits(max_bytes=6_000_000))
        for each, most in ((relay(owner, nats_url), 5_000_000), (again, 6_000_000)):
            async with background(each.run):
                await eventually(lambda: each.resyncs, "it is at work again")  # noqa: B023 - awaited within the round
            config = (await js.stream_info(STREAM)).config
            kept = (config.max_age, config.max_bytes, config.max_msg_size, config.description, config.subjects)
            assert kept == (7200, most, 900_000, "ours", subjects)


async def test_the_last_message_of_a_batch_answers_for_all(owner: EventStore, nats_url: str) -> None:
    """Each fences itself behind the one before, so one acknowledgement says that all of them are there."""
    answers: list[int] = []

    async def heard(message: Msg) -> None:
        answer = json.loads(message.data or b"{}")
        if answer.get("stream") == STREAM and "seq" in answer and "type" not in answer:
            answers.append(answer["seq"])

    await count_at_once(owner, streams=10, each=30)
    async with connected(nats_url, "listener") as client:
        inboxes, _, _ = client.new_inbox().rpartition(".")
        await listen(client, f"{inboxes}.>", heard)
        publisher = relay(owner, nats_url, batch=100)
        async with background(publisher.run):
            await eventually(lambda: publisher.published == 300, "all published")
        await eventually(lambda: 300 in answers, "the last acknowledgement is heard")
    assert answers == [100, 200, 300]
    assert await positions_published(nats_url) == await positions(owner)


async def test_two_relays_without_a_lease_are_fenced(owner: EventStore, databases: object, nats_url: str) -> None:
    """Both publish the same store at the same time: nothing twice, nothing skipped, the store's order."""
    first, second = relay(owner, nats_url, batch=20), relay(owner, nats_url, batch=7)
    async with background(first.publish, second.publish):
        await eventually(lambda: first.resyncs and second.resyncs, "both are at work")
        await count_at_once(owner, streams=20, each=20)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await eventually(lambda: first.resyncs + second.resyncs > 2, "one of them was refused, and looked again")
    assert await positions_published(nats_url) == await positions(owner)


async def test_positions_with_gaps_are_published_as_they_are(owner: EventStore, nats_url: str) -> None:
    """A rolled-back transaction leaves a hole in the positions, which is no reason to wait or to stop."""
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


async def test_a_killed_server_is_waited_for(owner: EventStore, broker: Broker) -> None:
    """kill -9 in the middle of the work; the relay goes on by itself when the server is back."""
    publisher = relay(owner, broker.url, batch=10)
    async with background(publisher.run):
        await count_at_once(owner, streams=5, each=10)
        await eventually(lambda: publisher.published, "something published")
        broker.kill()
        await count_at_once(owner, streams=5, each=10)
        assert (await publisher.lag()).events > 0
        assert (await publisher.lag()).seconds > 0
        broker.start()
        await eventually(lambda: all_published(owner, broker.url), "all published")
        lag = await publisher.lag()
    assert (lag.events, lag.seconds) == (0, 0.0)
    assert await positions_published(broker.url) == await positions(owner)


async def test_a_wiped_server_is_refilled(owner: EventStore, broker: Broker) -> None:
    """The store is the truth: a broker that lost everything gets everything again, also when nothing new happens."""
    publisher = relay(owner, broker.url)
    async with background(publisher.run):
        await count_at_once(owner, streams=5, each=10)
        await eventually(lambda: all_published(owner, broker.url), "all published")
        broker.kill()
        broker.wipe()
        broker.start()
        await eventually(lambda: all_published(owner, broker.url), "refilled")
    assert await positions_published(broker.url) == await positions(owner)


async def test_a_stream_that_was_deleted_is_refilled(owner: EventStore, nats_url: str) -> None:
    """Somebody deletes the stream while the relay has nothing to do: it looks from time to time."""
    async with background(relay(owner, nats_url).run), connected(nats_url, "test") as client:
        await count(owner, uuid4(), 1, 2, 3)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await client.jetstream().delete_stream(STREAM)
        await eventually(lambda: all_published(owner, nats_url), "refilled")
    assert await positions_published(nats_url) == await positions(owner)


async def test_a_stream_emptied_by_retention_goes_on_from_the_checkpoint(owner: EventStore, broker: Broker) -> None:
    """An empty stream that has had messages is not filled again: the relay knows by its checkpoint where it was."""
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
    assert await positions_published(broker.url) == [each for each in await positions(owner) if each > before]


async def test_a_checkpoint_that_lags_behind_publishes_nothing_twice_within_the_window(
    owner: EventStore, nats_url: str
) -> None:
    """The checkpoint is written lazily; what the server remembers to have is answered `duplicate`, and passed over."""
    async with background(relay(owner, nats_url).run), connected(nats_url, "test") as client:
        before = await count(owner, uuid4(), 1, 2, 3)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await client.jetstream().purge_stream(STREAM)
    await set_checkpoint(owner, "relay", (await positions(owner))[0])
    async with background(relay(owner, nats_url).run):
        await count(owner, uuid4(), 1)
        await eventually(lambda: all_published(owner, nats_url), "all published")
    assert await positions_published(nats_url) == [each for each in await positions(owner) if each > before]


async def test_messages_of_others_are_passed_over(owner: EventStore, nats_url: str) -> None:
    """Garbage at the end of the stream does not confuse the relay about where it was."""
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
    """Of two replicas' relays one publishes; when it is gone, the other one does."""
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


async def test_a_restarted_postgresql_is_waited_for(owner: EventStore, nats_url: str) -> None:
    """Every connection is cut; the relay goes on by itself."""
    async with background(relay(owner, nats_url).run):
        await count(owner, uuid4(), 1)
        await eventually(lambda: all_published(owner, nats_url), "all published")
        await cut_connections(owner.dsn)
        await once_up(lambda: count(owner, uuid4(), 1, 2))
        await eventually(lambda: all_published(owner, nats_url), "all published")
    assert await positions_published(nats_url) == await positions(owner)


async def test_a_stream_that_refuses_is_tried_until_it_takes(owner: EventStore, nats_url: str) -> None:
    """A full stream (discard new) refuses; the relay says why, and goes on when there is room."""
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
