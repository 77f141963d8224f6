"""P5c: a small job of real steps beside a very large one of another user, at the set's own worker."""

import asyncio
import time
from collections.abc import Iterator
from uuid import UUID

import uvloop

from benchmarks.ground import Ground
from benchmarks.measure import Figure, median
from benchmarks.workshop import ENDS_WITHIN, Workshop, check_completed
from infra.demo.journey import ENDED
from tests.support.jobs import two_steps

GENERATIONS = 4
TIMES = 9
PAUSE = 0.5
"""Seconds after the large job's answer at which the first small one is sent, and between two."""


async def small_job(shop: Workshop, user: UUID, collection: str) -> float:
    """Seconds from the request until the job's end arrives on its stream of events."""
    async with shop.client(user) as client, asyncio.timeout(ENDS_WITHIN):
        sent = time.monotonic()
        job, *_ = await shop.submit(client, collection, GENERATIONS)
        async for event in client.events(f"/jobs/{job}/events"):
            if event.event == "job_status" and event.data["status"] in ENDED:
                check_completed(job, event.data["status"])
                break
        return time.monotonic() - sent


async def collection_of(shop: Workshop, user: UUID) -> str:
    async with shop.client(user) as client:
        collection = await client.post("/projects/collections", {"title": "Tides", "data": two_steps()})
        await client.post(f"/collections/{collection['id']}/generations", {"generations": 1, "dry_run": True})
        return str(collection["id"])


async def times(shop: Workshop, large: int, runs: int) -> tuple[list[float], list[float]]:
    """Of small jobs on the idle set, and beside a job of `large` generations, which is cancelled then."""
    other, user = await shop.user(), await shop.user()
    small_collection, large_collection = await collection_of(shop, other), await collection_of(shop, user)
    idle = [await small_job(shop, other, small_collection) for _ in range(runs + 1)][1:]
    beside = []
    async with shop.client(user) as client:
        job, *_ = await shop.submit(client, large_collection, large)
        for _ in range(runs):
            await asyncio.sleep(PAUSE)
            beside.append(await small_job(shop, other, small_collection))
        await client.post(f"/jobs/{job}/cancel", {})
    return idle, beside


def run(ground: Ground) -> Iterator[Figure]:
    large = ground.size(10_000, 100)
    idle, beside = uvloop.run(times(ground.workshop, large, ground.size(TIMES, 2)))
    yield Figure(
        "P5c",
        f"a job of {GENERATIONS} generations of a sketch and a frame, beside one of {large:,}: seen to be done, p50",
        1e3 * median(beside),
        "ms",
        "the same on the idle set",
        1e3 * median(idle),
        most=3,
    )
