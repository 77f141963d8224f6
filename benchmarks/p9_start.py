"""P9: from `emprops up` on a folder that has been used before until all is ready; beside its three servers alone."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import servers
from benchmarks.ground import Ground
from benchmarks.measure import Figure, median
from tests.support.running_set import RunningSet

ROUNDS = 2


def set_seconds(data: Path) -> float:
    running = RunningSet(data)
    began = time.perf_counter()
    try:
        running.up()
        return time.perf_counter() - began
    finally:
        running.close()


async def servers_seconds(data: Path) -> float:
    """PostgreSQL, NATS and the S3 store of the same folder, started as the set starts them."""
    began = time.perf_counter()
    async with servers.of_set(data):
        return time.perf_counter() - began


def run(ground: Ground) -> Iterator[Figure]:
    data = ground.directory / "started"
    cold = set_seconds(data)
    rounds = ground.size(ROUNDS, 1)
    warm = [(set_seconds(data), asyncio.run(servers_seconds(data))) for _ in range(rounds)]
    yield Figure(
        "P9",
        "warm start of the set, until all is ready",
        median([ours for ours, _ in warm]),
        "s",
        "its three servers alone",
        median([theirs for _, theirs in warm]),
        limit=4,
        note=f"the first start in an empty folder: {cold:.1f} s",
    )
