"""A replica is killed in the middle of its work: the next one continues, and order holds."""

import asyncio
import contextlib
import sys
from asyncio.subprocess import PIPE, Process
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

from shared.eventstore import EventStore
from tests.integration.messaging.support import (
    Counted,
    background,
    count_at_once,
    relay,
)
from tests.support.patience import eventually

ROOT = Path(__file__).parents[3]


@contextlib.asynccontextmanager
async def replica(store: EventStore, nats_url: str) -> AsyncIterator[Process]:
    module = "tests.integration.messaging.counting_service"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, store.dsn, nats_url, stdout=PIPE, cwd=ROOT
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def active(process: Process) -> None:
    assert process.stdout is not None
    while (line := await asyncio.wait_for(process.stdout.readline(), 120)).strip() != b"active":
        assert line, "the replica ended before it was active"


async def recorded(store: EventStore) -> dict[UUID, list[int]]:
    numbers: defaultdict[UUID, list[int]] = defaultdict(list)
    for recorded_event in await store.read_all(0, 100_000):
        assert isinstance(recorded_event.event, Counted)
        numbers[recorded_event.stream_id].append(recorded_event.event.n)
    return dict(numbers)


async def test_order_holds_when_replicas_are_killed(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Twice, with events in flight: each effect once, in the order of its stream, and without waiting for timeouts."""
    async with (
        background(relay(owner, nats_url).run),
        replica(service, nats_url) as first,
        replica(service, nats_url) as second,
        replica(service, nats_url) as third,
    ):
        waiting = {asyncio.create_task(active(process)): process for process in (first, second, third)}
        streams: list[UUID] = []
        for _ in range(2):
            finished, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            [task] = finished
            await task
            leader = waiting.pop(task)
            streams += await count_at_once(owner, streams=15, amount=15)

            total = len(streams) * 15

            async def in_the_middle() -> bool:
                settled = sum(map(len, (await recorded(service)).values()))
                return settled > total - 200  # noqa: B023 - awaited within the round

            # Not "and some are left": a fast machine may be done between two checks, so it might never hold.
            await eventually(in_the_middle, "it is in the middle of them")
            leader.kill()
            await leader.wait()

        async def all_there() -> bool:
            return await service.head() > 0 and sum(map(len, (await recorded(service)).values())) == 2 * 15 * 15

        await eventually(all_there, "all handled")
        for task in waiting:
            task.cancel()
        assert await recorded(service) == {stream: list(range(1, 16)) for stream in streams}
