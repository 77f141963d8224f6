"""A bare JetStream work queue: a message of work to the worker, its result back, both acknowledged; no engine between.

The same streams, the same worker, and messages of the same size as generation's.
"""

import asyncio
import contextlib
import time
from uuid import uuid4

import msgspec
import nats
from nats.aio.client import Client

from benchmarks.noop_worker import noop_worker
from benchmarks.pulling import arriving
from services.generation.workers.broker import ensure_work_streams
from shared.contracts.work import RESULTS_STREAM, UploadGrant, WorkContext, WorkMessage
from shared.messaging.publishing import Publisher

SERVICE = "bench-peer"
WITHIN = 120.0
WINDOW = 512
"""Messages whose acknowledgements are waited for at the same time."""


def message() -> WorkMessage:
    ids = [uuid4() for _ in range(5)]
    context = WorkContext(ids[3], ids[4], 1, "0" * 64, UploadGrant("http://127.0.0.1/uploads", "t" * 700))
    deadline = "2100-01-01T00:00:00Z"
    return WorkMessage(ids[0], ids[1], ids[2], 1, SERVICE, "peer", {"prompt": "go"}, context, deadline)


async def _round_trips(client: Client, count: int) -> float:
    publisher = Publisher(client)
    await publisher.start()
    work = [message() for _ in range(count)]

    async def send() -> None:
        for start in range(0, count, WINDOW):
            acks = []
            for step in work[start : start + WINDOW]:
                headers = {"Nats-Msg-Id": f"{step.sid}:{step.attempt}"}
                subject = f"work.direct_job.{SERVICE}"
                acks.append(await publisher.publish(subject, msgspec.json.encode(step), headers))
            await asyncio.gather(*acks)

    async def take() -> None:
        open_sids = {str(step.sid) for step in work}
        async with contextlib.aclosing(arriving(client, RESULTS_STREAM, "bench-results", "results.>")) as results:
            async for result in results:
                open_sids.discard(msgspec.json.decode(result.data)["sid"])
                await result.ack()
                if not open_sids:
                    return

    began = time.perf_counter()
    async with asyncio.timeout(WITHIN), asyncio.TaskGroup() as tasks:
        tasks.create_task(take())
        tasks.create_task(send())
    return count / (time.perf_counter() - began)


async def round_trips(url: str, count: int) -> float:
    """Round trips per second. `url`: of a user with all permissions, at a server that no set uses."""
    with noop_worker(url, SERVICE) as go:
        go()
        client = await nats.connect(url)
        try:
            await ensure_work_streams(client)
            await _round_trips(client, max(1, count // 10))
            return await _round_trips(client, count)
        finally:
            await client.close()
