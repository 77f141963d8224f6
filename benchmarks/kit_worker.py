"""`python -m benchmarks.kit_worker`: a worker made with the kit, as users write them, whose steps take no time."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.workshop import SERVICE
from workers.kit import Step, Worker

LANES = 32

worker = Worker("bench")


@worker.handles(SERVICE)
async def done(step: Step) -> str:
    return step.hash


@contextlib.contextmanager
def kit_worker(url: str) -> Iterator[int]:
    """In a process of its own, for the length of a `with` block: its pid."""
    environment = {**os.environ, "NATS_URL": url, "WORKER_CONCURRENCY": str(LANES), "LOG_LEVEL": "error"}
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.kit_worker"], env=environment)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    worker.run()
