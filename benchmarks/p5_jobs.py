"""P5, P5a, P5b: jobs of steps that take no time: many generations, a very large one, and a small one beside it."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

import uvloop

from benchmarks.ground import Ground
from benchmarks.measure import Figure, median
from benchmarks.noop_worker import noop_worker, taken_at
from benchmarks.peers.work_queue import round_trips
from benchmarks.workshop import SERVICE, Ended, Workshop

STEPS = 3
BESIDE_AFTER = 0.5
"""Seconds after the large job's answer at which the first small one is sent, and between two."""
MOST_BESIDE = 20


@dataclass
class Small:
    """Jobs of one generation; the properties are medians in milliseconds."""

    jobs: list[Ended]

    @property
    def answered(self) -> float:
        return 1e3 * median([job.answered - job.sent for job in self.jobs])

    @property
    def ended(self) -> float:
        return 1e3 * median([job.seconds for job in self.jobs])


async def first_steps(shop: Workshop, jobs: list[Ended]) -> float:
    """The median time from a job's request until a worker receives its first step, in milliseconds."""
    waits = []
    for job in jobs:
        async with shop.client(job.user) as client:
            view = await client.get(f"/jobs/{job.id}")
        waits.append(taken_at(view["generations"][0]["outputs"][0]["text"]) - job.sent)
    return 1e3 * median(waits)


async def small_collection(shop: Workshop) -> tuple[UUID, str]:
    user = await shop.user()
    async with shop.client(user) as client:
        return user, await shop.collection(client, SERVICE, 1)


async def many(shop: Workshop, generations: int, steps: int = STEPS) -> Ended:
    user = await shop.user()
    async with shop.client(user) as client:
        collection = await shop.collection(client, SERVICE, steps)
    await shop.run(user, collection, max(1, generations // 20))  # what is compiled or cached at first use is
    return await shop.run(user, collection, generations)


async def large_with_small_beside(shop: Workshop, generations: int) -> tuple[Ended, Small]:
    other, small = await small_collection(shop)
    user = await shop.user()
    async with shop.client(user) as client:
        collection = await shop.collection(client, SERVICE, 1)
    large = asyncio.create_task(shop.run(user, collection, generations))
    beside: list[Ended] = []
    while len(beside) < MOST_BESIDE and not (large.done() and beside):
        await asyncio.sleep(BESIDE_AFTER)
        beside.append(await shop.run_and_follow(other, small))
    return await large, Small(beside)


async def large_job(shop: Workshop, generations: int) -> Ended:
    """A job of `generations`, which rows share: the first one that needs it makes it."""
    if shop.large is None:
        user = await shop.user()
        async with shop.client(user) as client:
            collection = await shop.collection(client, SERVICE, 1)
        shop.large = await shop.run(user, collection, generations)
    return shop.large


def size_of_large(ground: Ground) -> int:
    return ground.size(10_000, 200)


def run(ground: Ground) -> Iterator[Figure]:
    generations, large_size, shop = ground.size(1_000, 30), size_of_large(ground), ground.workshop
    peer = uvloop.run(round_trips(ground.nats_url, generations * STEPS))
    with noop_worker(shop.nats_url, SERVICE) as go:
        go()
        user, small = uvloop.run(small_collection(shop))
        idle = Small([uvloop.run(shop.run_and_follow(user, small)) for _ in range(ground.size(21, 5))][1:])
        first = uvloop.run(first_steps(shop, idle.jobs))
        job = uvloop.run(many(shop, generations))
        rate = generations * STEPS / job.seconds
        yield Figure(
            "P5",
            f"one job of {generations:,} generations, {STEPS} steps of no work each",
            rate,
            "steps/s",
            f"a bare JetStream work queue, {generations * STEPS:,} round trips",
            peer,
            0.15,
        )
        yield Figure("P5", "submit to first step at a worker, idle set, p50", first, "ms", limit=20)
        of_one_step = uvloop.run(many(shop, generations, 1))
        shop.large, beside = uvloop.run(large_with_small_beside(shop, large_size))
    yield Figure(
        "P5a",
        f"one job of {large_size:,} generations, 1 step of no work each",
        large_size / shop.large.seconds,
        "steps/s",
        f"the job of {generations:,} generations",
        rate,
        0.8,
        note=f"a job of {generations:,} generations of 1 step: {generations / of_one_step.seconds:,.0f} steps/s",
    )
    first_beside = beside.jobs[0]
    later = Small(beside.jobs[1:] or beside.jobs)
    what = f"a job of 1 generation of another user, sent {BESIDE_AFTER} s after that one"
    peer_name = "the same on the idle set"
    yield Figure(
        "P5b",
        f"{what}: answered",
        1e3 * (first_beside.answered - first_beside.sent),
        "ms",
        peer_name,
        idle.answered,
        most=3,
        note=f"the {len(beside.jobs) - 1} after it: p50 {later.answered:,.0f} ms",
    )
    yield Figure(
        "P5b",
        f"{what}: seen to be done",
        1e3 * first_beside.seconds,
        "ms",
        peer_name,
        idle.ended,
        most=3,
        note=f"the {len(beside.jobs) - 1} after it: p50 {later.ended:,.0f} ms",
    )
