"""A worker in its own process that answers each step at once over the workers' protocol, without doing any work.

It announces itself as workers do, with as many lanes as it takes messages at a time.

The output that it reports is the time at which it received the step, so that a row knows when work has begun.
"""

import asyncio
import contextlib
import multiprocessing
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from multiprocessing.connection import Connection

import msgspec
import nats
import uvloop
from nats.aio.client import Client
from nats.aio.msg import Msg

from benchmarks.pulling import AT_A_TIME, arriving, settle_all
from services.generation.workers.broker import ensure_work_streams
from shared.contracts.generation import Output
from shared.contracts.work import (
    ANNOUNCEMENT_SECONDS,
    WORK_STREAM,
    Announcement,
    OfferedService,
    Progress,
    WorkMessage,
    WorkResult,
    consumer_name,
    work_subject,
)
from shared.messaging.publishing import Publisher

START_SECONDS = 60.0
_decoder = msgspec.json.Decoder(WorkMessage)


def taken_at(text: str) -> float:
    """When the worker received a step, from the step's output: in seconds of the machine's monotonic clock."""
    return int(text) / 1e9


async def _announce(client: Client, service: str) -> None:
    """Announces the worker until cancelled. A step takes no time, so none is listed as in progress."""
    offered = [OfferedService("direct_job", service, AT_A_TIME)]
    instance, started_at = f"bench-{uuid.uuid4()}", datetime.now(UTC).isoformat()
    announcement = Announcement(instance, "bench", "", offered, [], started_at)
    while True:
        await client.publish(announcement.subject, msgspec.json.encode(announcement))
        await asyncio.sleep(ANNOUNCEMENT_SECONDS)


async def _work(url: str, service: str, *, reports_progress: bool, gate: Connection) -> None:
    kind = f"direct_job.{service}"
    client = await nats.connect(url)
    await ensure_work_streams(client)
    publisher = Publisher(client)
    await publisher.start()

    async def settle(message: Msg) -> None:
        now = time.monotonic_ns()
        work = _decoder.decode(message.data)
        if reports_progress:
            for share in (0.0, 1.0):
                report = Progress(work.job_id, work.gid, work.sid, work.context.component_id, share)
                await client.publish(report.subject(kind), msgspec.json.encode(report))
        outputs = [Output(kind="text", text=str(now))]
        result = WorkResult(work.job_id, work.gid, work.sid, work.attempt, "completed", outputs)
        headers = {"Nats-Msg-Id": f"{work.sid}:{work.attempt}"}
        await (await publisher.publish(result.subject(kind), msgspec.json.encode(result), headers))
        await message.ack()

    announcing = asyncio.create_task(_announce(client, service))
    gate.send("ready")
    await asyncio.to_thread(gate.recv)
    try:
        await settle_all(arriving(client, WORK_STREAM, consumer_name(kind), work_subject(kind)), settle)
    finally:
        announcing.cancel()


def _run(url: str, service: str, gate: Connection, *, reports_progress: bool) -> None:
    uvloop.run(_work(url, service, reports_progress=reports_progress, gate=gate))


@contextlib.contextmanager
def noop_worker(url: str, service: str, *, reports_progress: bool = False) -> Iterator[Callable[[], None]]:
    """A connected worker for the length of a `with` block. It takes work once the yielded function is called.

    `reports_progress`: it reports 0 % and 100 % of each step.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=_run, args=(url, service, theirs), kwargs={"reports_progress": reports_progress}, daemon=True
    )
    process.start()
    theirs.close()
    try:
        if not ours.poll(START_SECONDS):
            raise TimeoutError(f"the worker was not ready in {START_SECONDS:.0f} s")
        ours.recv()
        yield lambda: ours.send("go")
    finally:
        process.kill()
        process.join()
