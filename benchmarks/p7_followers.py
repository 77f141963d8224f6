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
SELECT_END_OF_JOB = """
select extract(epoch from recorded_at)::float8 from events
where stream_id = %s::uuid and type like 'job\\_completed%%'"""


@dataclass
class Followed:
    job: float
    """Seconds from when the worker takes its first step until the job's end is recorded."""
    delays: list[float]
    """For each follower, seconds from then until it has received the end."""
    grown: dict[str, float]
    """KiB per stream, by process: the growth once all streams are open."""


def private_kib(shop: Workshop) -> dict[str, float]:
    """Private memory (USS) of these processes, in KiB."""
    return {name: psutil.Process(shop.running.pid(name)).memory_full_info().uss / 1024 for name in HOLDING}


def ended_at(shop: Workshop, job: str) -> float:
    with psycopg.connect(database_url(shop.running, "generation")) as connection:
        row = connection.execute(SELECT_END_OF_JOB, (job,)).fetchone()
    if row is None:
        raise RuntimeError(f"job {job} has no end")
    return float(row[0])


async def follow(shop: Workshop, followers: int, generations: int) -> Followed:
    """Follows a job with `followers` clients; its worker begins once all of them follow."""
    user = await shop.user()
    async with shop.client(user) as client:
        collection = await shop.collection(client, TELLING, 1)
        job, _, _ = await shop.submit(client, collection, generations)
    with noop_worker(shop.nats_url, TELLING, reports_progress=True) as go:
        before = private_kib(shop)
        async with following(shop.running.url, shop.running.token(user), job, followers) as streams:
            grown = {name: (kib - before[name]) / followers for name, kib in private_kib(shop).items()}
            began = time.time()
            go()
            async with asyncio.timeout(ENDS_WITHIN):
                ends = await asyncio.gather(*(stream.ended for stream in streams))
    ended = ended_at(shop, job)
    return Followed(ended - began, [end - ended for end in ends], grown)


def run(ground: Ground) -> Iterator[Figure]:
    shop, many, generations = ground.workshop, ground.size(FOLLOWERS, 50), ground.size(GENERATIONS, 20)
    allow_files(many + 200)
    uvloop.run(follow(shop, 20, generations))
    rounds = [
        (uvloop.run(follow(shop, 1, generations)), uvloop.run(follow(shop, many, generations)))
        for _ in range(ground.size(3, 1))
    ]
    what, peer = f"a job of {generations} generations that {many:,} follow through the edge", "one follower"
    job, alone = (median([pair[index].job for pair in rounds]) for index in (1, 0))
    yield Figure("P7", f"{what}: the job", 1e3 * job, "ms", peer, 1e3 * alone, most=1.2)
    delays = [1e3 * seconds for _, by_many in rounds for seconds in by_many.delays]
    delay_alone = 1e3 * median([by_one.delays[0] for by_one, _ in rounds])
    note = f"p99 {percentile(delays, 0.99):,.0f} ms"
    yield Figure(
        "P7", f"{what}: its end seen, p50", percentile(delays, 0.5), "ms", peer, delay_alone, limit=50, note=note
    )
    for name in HOLDING:
        grown = rounds[0][1].grown[name]  # what is freed afterwards is used again by the next
        yield Figure("P7", f"{what}: memory per stream, {name}", grown, "KiB", limit=40)
