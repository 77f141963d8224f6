"""P7: a job that 1,000 clients follow, beside the same job with one."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass

import psutil
import psycopg
import uvloop

from benchmarks.accounting import database_url
from benchmarks.ground import Ground
from benchmarks.measure import Figure, median, percentile
from benchmarks.noop_worker import noop_worker
from benchmarks.streams import allow_files, following
from benchmarks.workshop import TELLING, Workshop

FOLLOWERS, GENERATIONS = 1_000, 100
HOLDING = ("edge-1", "generation-1")
"""The processes that hold each stream."""
ENDS_WITHIN = 120.0
ENDED_AT = """
select extract(epoch from recorded_at)::float8 from events
where stream_id = %s::uuid and type like 'job\\_completed%%'"""


@dataclass
class Followed:
    job: float
    """Seconds from when the worker takes its first step until the job's end is recorded."""
    seen: list[float]
    """Of each follower: seconds from then until it has seen the end."""
    grown: dict[str, float]
    """KiB per stream, by process: once all streams are open, over what it was before."""


def private_kib(shop: Workshop) -> dict[str, float]:
    """Memory that the processes share with no other."""
    return {name: psutil.Process(shop.running.pid(name)).memory_full_info().uss / 1024 for name in HOLDING}


def ended_at(shop: Workshop, job: str) -> float:
    with psycopg.connect(database_url(shop.running, "generation")) as connection:
        row = connection.execute(ENDED_AT, (job,)).fetchone()
    if row is None:
        raise RuntimeError(f"job {job} has no end")
    return float(row[0])


async def followed(shop: Workshop, followers: int, generations: int) -> Followed:
    """The job waits until all of them follow: its worker begins then."""
    user = await shop.user()
    async with shop.client(user) as client:
        collection = await shop.collection(client, TELLING, 1)
        job, _, _ = await shop.submit(client, collection, generations)
    with noop_worker(shop.nats_url, TELLING, tells=True) as go:
        before = private_kib(shop)
        async with following(shop.running.url, shop.running.token(user), job, followers) as streams:
            grown = {name: (kib - before[name]) / followers for name, kib in private_kib(shop).items()}
            began = time.time()
            go()
            async with asyncio.timeout(ENDS_WITHIN):
                seen = await asyncio.gather(*(stream.ended for stream in streams))
    ended = ended_at(shop, job)
    return Followed(ended - began, [each - ended for each in seen], grown)


def run(ground: Ground) -> Iterator[Figure]:
    shop, many, generations = ground.workshop, ground.size(FOLLOWERS, 50), ground.size(GENERATIONS, 20)
    allow_files(many + 200)
    uvloop.run(followed(shop, 20, generations))
    rounds = [
        (uvloop.run(followed(shop, 1, generations)), uvloop.run(followed(shop, many, generations)))
        for _ in range(ground.size(3, 1))
    ]
    what, peer = f"a job of {generations} generations that {many:,} follow through the edge", "one follower"
    job, alone = (median([each[index].job for each in rounds]) for index in (1, 0))
    yield Figure("P7", f"{what}: the job", 1e3 * job, "ms", peer, 1e3 * alone, most=1.2)
    seen = [1e3 * each for _, followed_by_many in rounds for each in followed_by_many.seen]
    seen_alone = 1e3 * median([each.seen[0] for each, _ in rounds])
    note = f"p99 {percentile(seen, 0.99):,.0f} ms"
    yield Figure("P7", f"{what}: its end seen, p50", percentile(seen, 0.5), "ms", peer, seen_alone, limit=50, note=note)
    for name in HOLDING:
        grown = rounds[0][1].grown[name]  # what is freed afterwards is used again by the next
        yield Figure("P7", f"{what}: memory per stream, {name}", grown, "KiB", limit=40)
