"""P3: from an append in one service to the handler in another one, at 500 events a second, in two processes."""

import asyncio
import multiprocessing
import time
import uuid
from multiprocessing.connection import Connection

import nats
import structlog
import uvloop
from nats.js.api import StreamConfig

from benchmarks.ground import Ground
from benchmarks.measure import Figure, percentile
from shared.contracts.event import Event
from shared.eventstore import Codec, Context, EventStore, RecordedEvent, StreamAppend
from shared.messaging import Consumer, ConsumerRunner, Relay

RATE, SECONDS = 500, 10.0
WARM_UP = 1000
"""Events that are not measured: meanwhile the stream is created and the consumer subscribes."""


class Sent(Event, frozen=True, tag="sent.v1"):
    aggregate = "probe"

    at: int
    """CLOCK_MONOTONIC in nanoseconds, which all processes of a machine share."""
    text: str


async def produce(dsn: str, url: str, seconds: float) -> None:
    """Appends at an even pace; the relay publishes as it would in a service."""
    async with EventStore.open(dsn, Codec([Sent])) as store:
        relay = Relay(store, "bench", url)
        publishing = asyncio.create_task(relay.run())
        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for number in range(WARM_UP + int(RATE * seconds)):
                await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
                at = time.monotonic_ns() if number >= WARM_UP else 0
                append = StreamAppend(uuid.uuid4(), 0, [Sent(at, "x" * 300)])
                tasks.create_task(store.append([append], Context(uuid.uuid4(), "bench")))
        while (await relay.lag()).events:  # noqa: ASYNC110 - the relay has no event for "nothing left", and needs none
            await asyncio.sleep(0.05)
        publishing.cancel()


def consume(dsn: str, url: str, expected: int, ready: Connection) -> None:
    """Runs in its own process: collects the latencies, in milliseconds."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))

    async def run() -> list[float]:
        latencies: list[float] = []
        has_all = asyncio.Event()

        async def handle(recorded: RecordedEvent) -> None:
            assert isinstance(recorded.event, Sent)
            if not recorded.event.at:
                return
            latencies.append((time.monotonic_ns() - recorded.event.at) / 1e6)
            if len(latencies) >= expected:
                has_all.set()

        async with EventStore.open(dsn, Codec([])) as store:
            runner = ConsumerRunner(store, Consumer("bench-v1", "bench", (Sent,), handle), url)
            task = asyncio.create_task(runner.run())
            ready.send("ready")
            await asyncio.wait_for(has_all.wait(), SECONDS * 3)
            task.cancel()
        return latencies

    ready.send(uvloop.run(run()))


async def raw(url: str, seconds: float) -> list[float]:
    """JetStream alone: publish with its acknowledgement, pull consumer in the same process, at the same pace."""
    client = await nats.connect(url)
    js = client.jetstream()
    await js.add_stream(StreamConfig(name="RAW", subjects=["raw.>"]))
    subscription = await js.pull_subscribe("raw.>", durable="raw")
    latencies: list[float] = []
    expected = int(RATE * seconds / 2)

    async def receive() -> None:
        while len(latencies) < expected:
            for message in await subscription.fetch(100, timeout=5):
                latencies.append((time.monotonic_ns() - int(message.data.split()[0])) / 1e6)
                await message.ack()

    receiving = asyncio.create_task(receive())
    began = time.perf_counter()
    for number in range(expected):
        await asyncio.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        await js.publish("raw.event", f"{time.monotonic_ns()} {'x' * 400}".encode())
    await receiving
    await client.close()
    return latencies


def run(ground: Ground) -> list[Figure]:
    seconds, url = ground.size(SECONDS, 1.0), ground.nats_url
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    consumer = context.Process(target=consume, args=(ground.database("p3b"), url, int(RATE * seconds), theirs))
    consumer.start()
    theirs.close()  # so that `ours` sees its end, however it ends
    try:
        assert ours.recv() == "ready"
        uvloop.run(produce(ground.database("p3a"), url, seconds))
        latencies: list[float] = ours.recv()
    finally:
        consumer.join(1)
        consumer.kill()
    alone = uvloop.run(raw(url, seconds))
    what = f"append to handler in another service, {RATE} events/s"
    peer = "raw JetStream publish to consume"
    return [
        Figure("P3", f"{what}, p50", percentile(latencies, 0.5), "ms", peer, percentile(alone, 0.5), limit=2),
        Figure("P3", f"{what}, p99", percentile(latencies, 0.99), "ms", peer, percentile(alone, 0.99), limit=8),
    ]
