"""MEMORY: by how much a job of 10,000 generations of two steps makes the processes grow that have a part in it.

It has a set of its own, so that what earlier rows have left in memory is not taken for the job's.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

import psutil
import uvloop

from benchmarks.ground import Ground
from benchmarks.kit_worker import kit_worker
from benchmarks.measure import Figure
from benchmarks.workshop import SERVICE, Workshop
from tests.support.running_set import RunningSet

STEPS = 2
SAMPLE_SECONDS = 0.5
SERVICES = ("generation-1", "collections-1", "credits-1", "storage-1", "edge-1")
WORKER = "the worker"
LIMIT = 100.0
"""MiB that the engine and the worker may grow."""


@dataclass
class Memory:
    """Of one process, in MiB: PSS, which counts shared pages once, and RSS."""

    pid: int
    idle: tuple[float, float] = (0.0, 0.0)
    peak: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def now(self) -> tuple[float, float]:
        info = psutil.Process(self.pid).memory_full_info()
        return info.pss / 2**20, info.rss / 2**20

    def sample(self) -> None:
        self.peak = [max(pair) for pair in zip(self.peak, self.now(), strict=True)]

    @property
    def growth(self) -> tuple[float, float]:
        return self.peak[0] - self.idle[0], self.peak[1] - self.idle[1]


@contextlib.asynccontextmanager
async def watching(memories: Mapping[str, Memory]) -> AsyncIterator[None]:
    """Samples them for the length of a block; what they have at its beginning is `idle`."""
    for memory in memories.values():
        memory.idle = memory.now()

    async def sample_all() -> None:
        while True:
            for memory in memories.values():
                memory.sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    sampling = asyncio.create_task(sample_all())
    try:
        yield
    finally:
        sampling.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sampling


async def measure(shop: Workshop, generations: int, memories: Mapping[str, Memory]) -> float:
    """The job's seconds. A small one before it loads what is compiled or imported at first use."""
    user = await shop.user()
    async with shop.client(user) as client:
        collection = await shop.collection(client, SERVICE, STEPS)
    await shop.run(user, collection, max(1, generations // 100))
    async with watching(memories):
        return (await shop.run(user, collection, generations)).seconds


def run(ground: Ground) -> Iterator[Figure]:
    generations = ground.size(10_000, 200)
    running = RunningSet(ground.directory / "memory")
    with contextlib.ExitStack() as stack:
        stack.callback(running.close)
        running.up()
        shop = Workshop(running)
        memories = {name: Memory(running.pid(name)) for name in SERVICES}
        memories[WORKER] = Memory(stack.enter_context(kit_worker(shop.nats_url)))
        seconds = uvloop.run(measure(shop, generations, memories))
    what = f"one job of {generations:,} generations, {STEPS} steps of no work each: growth of"
    for name, memory in memories.items():
        pss, rss = memory.growth
        note = f"from {memory.idle[0]:.0f}; RSS {rss:+.0f}; {generations * STEPS / seconds:,.0f} steps/s"
        limit = LIMIT if name in (SERVICES[0], WORKER) else None
        yield Figure("MEMORY", f"{what} {name} (PSS)", pss, "MiB", limit=limit, note=note)
