"""JOBPAGE: the first page of a job of 10,000 generations, as its user reads it."""

from collections.abc import Iterator

import aiohttp
import uvloop

from benchmarks.ground import Ground
from benchmarks.http_load import load, request
from benchmarks.measure import Figure
from benchmarks.noop_worker import noop_worker
from benchmarks.p5_jobs import large_job, size_of_large
from benchmarks.workshop import SERVICE


async def size(url: str, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as response:
        response.raise_for_status()
        return len(await response.read())


def run(ground: Ground) -> Iterator[Figure]:
    shop = ground.workshop
    with noop_worker(shop.nats_url, SERVICE) as go:
        go()
        job = uvloop.run(large_job(shop, size_of_large(ground)))
    url, path = shop.running.file.services["generation"].urls[0], f"/jobs/{job.id}"
    headers = {"Authorization": f"Bearer {shop.running.token(job.user)}"}
    received = uvloop.run(size(url + path, headers))
    page = request("GET", url, path, None, headers)
    uvloop.run(load(url, [page], 200, ground.size(1.0, 0.3)))
    loaded = uvloop.run(load(url, [page], 200, ground.size(4.0, 1.0)))
    what = f"GET /jobs/{{id}} of {size_of_large(ground):,} generations, its first page"
    yield Figure("JOBPAGE", f"{what}: size", received / 1000, "KB", limit=100)
    yield Figure("JOBPAGE", f"{what}: p50, 1 connection at the service", loaded.p50, "ms", limit=20)
