"""From a message of work to its acknowledgement, with a NATS client that only records what is published."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from shared.contracts.work import CancelRequest, UploadGrant, WorkContext, WorkMessage, WorkResult
from tests.support.patience import PATIENCE, eventually
from workers.kit import BlockingStep, Json, Step
from workers.kit.handlers import Handler
from workers.kit.intake import Intake
from workers.kit.metrics import WorkerMetrics
from workers.kit.testing import _Files

KIND = "direct_job.service"


@dataclass
class Message:
    """A delivery; `answers` are what the worker sent back, in order."""

    data: bytes
    subject: str = f"work.{KIND}"
    answers: list[str] = field(default_factory=list)
    metadata = SimpleNamespace(num_delivered=1)

    async def ack(self) -> None:
        self.answers.append("ack")

    async def nak(self) -> None:
        self.answers.append("nak")

    async def term(self) -> None:
        self.answers.append("term")

    async def in_progress(self) -> None:
        self.answers.append("heartbeat")


class Client:
    """Records results with their subject and id."""

    max_payload = 1024 * 1024

    def __init__(self) -> None:
        self.results: list[tuple[str, str, WorkResult]] = []

    def jetstream(self, **_: Any) -> "Client":
        return self

    async def publish(self, subject: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        if headers:  # progress has none
            self.results.append((subject, headers["Nats-Msg-Id"], msgspec.json.decode(body, type=WorkResult)))


class Bench:
    """An intake with one slot and one handler."""

    def __init__(self, function: Any, *, ack_wait: float = 60.0) -> None:
        self.client = Client()
        self.slots = asyncio.Semaphore(1)
        self.intake = Intake(
            self.client,  # type: ignore[arg-type]  # a fake of this test
            {KIND: Handler.of(KIND, function)},
            _Files({}),
            self.slots,
            WorkerMetrics(CollectorRegistry()),
            ack_wait=ack_wait,
            patience=0.0,
            clock=lambda: datetime.now(UTC),
        )

    def send(self, work: WorkMessage | bytes) -> Message:
        message = Message(work if isinstance(work, bytes) else msgspec.json.encode(work))
        self.intake.take(message)  # type: ignore[arg-type]  # a fake of this test
        return message

    def cancel(self, request: CancelRequest | bytes) -> None:
        data = request if isinstance(request, bytes) else msgspec.json.encode(request)
        self.intake.cancel(Message(data, f"cancel.{KIND}"))  # type: ignore[arg-type]  # a fake of this test

    async def answered(self, message: Message) -> str:
        """What ended the delivery, after its heartbeats."""
        return str(await eventually(lambda: answers_of(message), "the message to be answered"))

    @property
    def codes(self) -> list[str]:
        return [result.error.code if result.error else "" for _, _, result in self.client.results]


def answers_of(message: Message) -> str:
    return "".join(answer for answer in message.answers if answer != "heartbeat")


def work(service: str = "service") -> WorkMessage:
    return WorkMessage(
        job_id=uuid4(),
        gid=uuid4(),
        sid=uuid4(),
        attempt=1,
        service_required=service,
        workflow=service,
        payload={},
        context=WorkContext(uuid4(), uuid4(), 1, "ab", UploadGrant("http://storage.test/uploads", "")),
        deadline=(datetime.now(UTC) + timedelta(seconds=PATIENCE)).isoformat(),
    )


class Gated:
    """A handler that waits for its gate."""

    def __init__(self) -> None:
        self.gate, self.calls = asyncio.Event(), 0

    async def __call__(self, _step: Step) -> str:
        self.calls += 1
        await self.gate.wait()
        return "done"


async def test_a_result_goes_out_once_and_then_the_message_is_acknowledged() -> None:
    gated = Gated()
    bench, sent = Bench(gated), work()
    gated.gate.set()
    assert await bench.answered(bench.send(sent)) == "ack"
    [(subject, message_id, result)] = bench.client.results
    assert subject == f"results.{sent.job_id}.{sent.gid}.{KIND}"
    assert message_id == f"{sent.sid}:1"
    assert (result.status, result.outputs[0].text) == ("completed", "done")


async def test_heartbeats_keep_the_lease_of_running_and_waiting_steps() -> None:
    gated = Gated()
    bench = Bench(gated, ack_wait=0.03)
    running, waiting = bench.send(work()), bench.send(work())
    await eventually(lambda: min(m.answers.count("heartbeat") for m in (running, waiting)) > 3, "heartbeats of both")
    assert gated.calls == 1
    gated.gate.set()
    assert (await bench.answered(running), await bench.answered(waiting)) == ("ack", "ack")


async def test_a_message_that_comes_again_meanwhile_is_done_once() -> None:
    gated, sent = Gated(), work()
    bench = Bench(gated)
    first = bench.send(sent)
    await eventually(lambda: gated.calls, "the handler to begin")
    second = bench.send(sent)
    await asyncio.sleep(0.02)  # the handler must not be called again
    gated.gate.set()
    assert await bench.answered(second) == "ack", "only the newest delivery's acknowledgement counts"
    assert (gated.calls, first.answers) == (1, [])


@pytest.mark.parametrize("by", ["job", "generation", "step", "attempt"])
async def test_a_request_cancels_what_it_names(by: str) -> None:
    gated, sent, other = Gated(), work(), work()
    bench = Bench(gated)
    message, unharmed = bench.send(sent), bench.send(other)
    await eventually(lambda: gated.calls, "the handler to begin")
    names = ["job", "generation", "step", "attempt"][: ["job", "generation", "step", "attempt"].index(by) + 1]
    bench.cancel(
        CancelRequest(
            sent.job_id,
            gid=sent.gid if "generation" in names else None,
            sid=sent.sid if "step" in names else None,
            attempt=1 if "attempt" in names else None,
        )
    )
    assert await bench.answered(message) == "ack"
    assert bench.codes == ["CANCELLED"]
    gated.gate.set()
    assert await bench.answered(unharmed) == "ack"
    assert bench.codes == ["CANCELLED", ""]


async def test_a_request_cancels_nothing_else() -> None:
    gated, sent = Gated(), work()
    bench = Bench(gated)
    message = bench.send(sent)
    await eventually(lambda: gated.calls, "the handler to begin")
    for request in (
        CancelRequest(uuid4()),
        CancelRequest(sent.job_id, gid=uuid4()),
        CancelRequest(sent.job_id, gid=sent.gid, sid=uuid4()),
        CancelRequest(sent.job_id, gid=sent.gid, sid=sent.sid, attempt=2),
        b"{",
        b'{"job_id": "x"}',
    ):
        bench.cancel(request)
    gated.gate.set()
    assert await bench.answered(message) == "ack"
    assert bench.codes == [""]


async def test_a_step_that_waits_for_a_slot_is_cancelled_without_being_begun() -> None:
    gated, waiting = Gated(), work()
    bench = Bench(gated)
    bench.send(work())
    await eventually(lambda: gated.calls, "the handler to begin")
    message = bench.send(waiting)
    await asyncio.sleep(0.02)  # the step waits for the slot by now
    bench.cancel(CancelRequest(waiting.job_id))
    gated.gate.set()
    assert await bench.answered(message) == "ack"
    assert sorted(bench.codes) == ["", "CANCELLED"]
    assert gated.calls == 1


async def test_a_request_is_not_remembered() -> None:
    """A job that is cancelled and then resumed sends its steps again."""
    gated, sent = Gated(), work()
    gated.gate.set()
    bench = Bench(gated)
    bench.cancel(CancelRequest(sent.job_id))
    assert await bench.answered(bench.send(sent)) == "ack"
    assert bench.codes == [""]


async def test_a_thread_that_goes_on_occupies_its_lane() -> None:
    began, go_on = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    calls = 0

    def blocks(step: BlockingStep) -> str:
        nonlocal calls
        calls += 1
        loop.call_soon_threadsafe(began.set)
        asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result(PATIENCE)
        return ""

    bench, sent = Bench(blocks), work()
    message = bench.send(sent)
    await began.wait()
    bench.cancel(CancelRequest(sent.job_id))
    assert await bench.answered(message) == "ack"
    second = bench.send(work())
    await asyncio.sleep(0.05)  # the handler must not be called while the thread runs
    assert calls == 1
    go_on.set()
    assert await bench.answered(second) == "ack"
    assert calls == 2


async def test_stopped_it_hands_back_what_does_not_end_in_time() -> None:
    gated = Gated()
    bench = Bench(gated)
    running, waiting = bench.send(work()), bench.send(work())
    await eventually(lambda: gated.calls, "the handler to begin")
    await bench.intake.finish(asyncio.get_running_loop().time())
    assert (answers_of(running), answers_of(waiting)) == ("nak", "nak")
    assert bench.client.results == []


async def test_it_tells_which_attempts_are_in_progress() -> None:
    gated, sent = Gated(), work()
    bench = Bench(gated)
    message = bench.send(sent)
    bench.send(work())
    await eventually(lambda: gated.calls, "the handler to begin")
    [entry] = bench.intake.in_progress()
    assert (entry.sid, entry.attempt) == (sent.sid, 1)
    gated.gate.set()
    await bench.answered(message)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"sid": 5}', b"null"])
async def test_a_message_that_names_no_step_is_terminated(body: bytes) -> None:
    bench = Bench(Gated())
    assert await bench.answered(bench.send(body)) == "term"
    assert bench.client.results == []


async def test_a_malformed_message_fails_the_step_that_it_names() -> None:
    bench = Bench(Gated())
    body = msgspec.json.encode(msgspec.to_builtins(work()) | {"deadline": "soon"})
    assert await bench.answered(bench.send(body)) == "term"
    assert bench.codes == ["MALFORMED_WORK"]


async def test_work_that_requires_another_service_than_its_subject_says_fails() -> None:
    bench = Bench(Gated())
    assert await bench.answered(bench.send(work("another"))) == "ack"
    assert bench.codes == ["WORKFLOW_NOT_EXECUTABLE"]


async def test_a_result_that_no_message_can_carry_is_a_failure() -> None:
    async def much(_step: Step) -> Json:
        return Json("x" * Client.max_payload)

    bench = Bench(much)
    assert await bench.answered(bench.send(work())) == "ack"
    assert bench.codes == ["RESULT_TOO_LARGE"]
