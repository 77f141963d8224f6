"""P9: from `emprops up` on a folder that has been used before until all is ready; beside its three servers alone."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.measure import Figure, median
from infra.embedded.plan import make_plan
from infra.embedded.ports import PortPicker
from infra.embedded.set_file import Secrets, load_set
from infra.embedded.supervisor import Supervisor
from tests.support.running_set import RunningSet

ROUNDS = 3


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
    ports = PortPicker(load_set(data).ports)
    plan = make_plan(data, ports, Secrets(data), public_port=ports.pick("edge-1"), replicas=1)
    supervisor = Supervisor(data / "logs", plan.stages[:1], say=lambda _line: None)
    began = time.perf_counter()
    try:
        await supervisor.start()
        return time.perf_counter() - began
    finally:
        await supervisor.stop()


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
        median([servers for _, servers in warm]),
        limit=4,
        note=f"the first start in an empty folder: {cold:.1f} s",
    )
