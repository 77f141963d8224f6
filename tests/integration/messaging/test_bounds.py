"""The bytes that consumers and processes have in flight are bounded, however many events these are."""

import asyncio
from uuid import uuid4

import pytest

from shared.eventstore import EventStore, StreamAppend
from shared.eventstore.records import Context
from shared.processes import Process, ProcessRunner
from shared.processes import process as processes
from tests.integration.messaging.support import Text, background, relay, runner
from tests.support.patience import eventually

SIZE = 100_000
MOST = 1_000_000
COUNT = 40


class Slow:
    """Handles one event whenever a test lets it; records the most bytes in flight."""

    def __init__(self) -> None:
        self.in_hand = self.most = self.done = 0
        self.may = asyncio.Semaphore(0)

    async def __call__(self, recorded: object) -> None:
        size = len(getattr(recorded, "data", b"")) or SIZE
        self.in_hand += size
        self.most = max(self.most, self.in_hand)
        await self.may.acquire()
        self.in_hand -= size
        self.done += 1

    async def handle_all(self, in_hand_at_once: int) -> None:
        """Lets all events through one by one, once there is no room for more."""
        await eventually(lambda: self.in_hand >= in_hand_at_once * SIZE, "as many in hand as there is room for")
        for number in range(1, COUNT + 1):
            self.may.release()
            await eventually(lambda number=number: self.done == number, "one more to be done")  # type: ignore[misc]  # mypy infers no type of a default argument of a lambda


async def say(store: EventStore) -> None:
    for _ in range(COUNT):
        await store.append([StreamAppend(uuid4(), 0, [Text("x" * SIZE)])], Context(uuid4(), "tester"))


async def test_the_bytes_in_flight_of_a_consumer_are_bounded(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    slow = Slow()
    consumer = runner(service, nats_url, slow, events=(Text,), max_bytes=MOST)
    await say(owner)
    async with background(relay(owner, nats_url).run, consumer.run):
        await slow.handle_all(8)
    assert slow.most <= MOST
    assert (consumer.window.held, consumer.window.bytes) == (0, 0)


async def test_the_bytes_in_flight_of_a_process_are_bounded(owner: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Except for the event that exceeds the bound."""
    monkeypatch.setattr(processes, "IN_FLIGHT_BYTES", MOST)
    slow = Slow()
    process = ProcessRunner(owner, Process("slow-v1", (Text,), slow))
    await say(owner)
    async with background(process.run):
        await slow.handle_all(8)
    assert slow.most <= MOST + SIZE + 100
    assert (process.window.held, process.window.bytes) == (0, 0)
