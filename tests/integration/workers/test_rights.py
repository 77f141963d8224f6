"""A worker's NATS user opens its own work, results and progress, and nothing else."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import nats.errors
import pytest

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import OWNERS, service_users
from shared.contracts.work import WORK_STREAM, CancelRequest, cancel_subject, consumer_name
from shared.messaging import connected
from tests.integration.workers.support import Engine, Storage, WorkerProcess, eventually
from tests.support.servers import Servers

TEXT = "direct_job.text"
SKETCH = "direct_job.sketch"


@pytest.fixture
def server(servers: Servers) -> Iterator[NatsServer]:
    passwords = {name: f"password-of-{name}" for name in (*OWNERS, "worker", "text", "operator")}
    with servers.start_nats(service_users(passwords, {"text": (TEXT,)})) as started:
        yield started


async def test_with_a_workers_rights_it_does_its_work(server: NatsServer, storage: Storage, tmp_path: Path) -> None:
    """It comes first, and waits until the generation service has made the streams."""
    worker = WorkerProcess(server.url("worker"), tmp_path / "worker.log")
    try:
        await eventually(lambda: waits(worker), "it waits for the streams")
        async with connected(server.url("operator"), "engine") as client:
            engine = await Engine(client, storage.url).open()
            await worker.ready()
            work = engine.work("sketch", prompt="harbour", width=64, height=64)
            assert (await engine.run(work)).status == "completed"
            await eventually(lambda: said_last(engine), "its progress is heard")
            assert "nats_error" not in worker.log, "it published or subscribed where it must not"
    finally:
        worker.kill()


async def test_a_step_is_cancelled_at_the_worker_that_does_it(
    server: NatsServer, storage: Storage, tmp_path: Path
) -> None:
    worker = WorkerProcess(server.url("worker"), tmp_path / "worker.log")
    try:
        async with connected(server.url("operator"), "engine") as client:
            engine = await Engine(client, storage.url).open()
            await worker.ready()
            storage.gate.clear()
            work = await engine.send(engine.work("sketch", prompt="harbour", width=64, height=64))
            await storage.waiting.wait()
            await client.publish(cancel_subject(SKETCH), msgspec.json.encode(CancelRequest(work.job_id)))
            result = await engine.result(work.sid)
            assert result.error is not None
            assert (result.error.code, result.error.retryable) == ("CANCELLED", False)
            storage.gate.set()
            again = engine.work("sketch", prompt="harbour", width=64, height=64)
            assert (await engine.run(again)).status == "completed"
    finally:
        worker.kill()


@pytest.mark.parametrize(
    ("name", "subject", "filter_subject"),
    [
        ("text", consumer_name(TEXT), f"work.{SKETCH}"),
        ("text", consumer_name(TEXT), "work.>"),
        ("sketch", consumer_name(SKETCH), f"work.{SKETCH}"),
    ],
    ids=["another filter", "all work", "another worker's consumer"],
)
async def test_it_gets_no_work_of_another_kind(
    server: NatsServer, storage: Storage, name: str, subject: str, filter_subject: str
) -> None:
    """Neither by a filter that the request's subject does not name, nor over another worker's consumer."""
    del name
    async with connected(server.url("operator"), "engine") as operator:
        engine = await Engine(operator, storage.url).open()
        await engine.send(engine.work("sketch", prompt="harbour"))
        config = {"durable_name": subject, "name": subject, "filter_subject": filter_subject, "ack_policy": "explicit"}
        body = msgspec.json.encode({"stream_name": WORK_STREAM, "config": config})
        request_subject = f"$JS.API.CONSUMER.CREATE.{WORK_STREAM}.{subject}.work.{subject_kind(subject)}"
        async with connected(server.url("text"), "intruder") as intruder:
            try:
                answer = msgspec.json.decode((await intruder.request(request_subject, body, timeout=1)).data)
            except (nats.errors.Error, TimeoutError):
                return  # refused by the permissions: there is no answer
            assert "error" in answer, answer


def subject_kind(consumer: str) -> str:
    return f"direct_job.{consumer.removeprefix('worker-')}"


async def waits(worker: WorkerProcess) -> bool:
    return "lane_waits" in worker.log


async def said_last(engine: Engine) -> bool:
    return any(word.progress == 1.0 for word in engine.progress)
