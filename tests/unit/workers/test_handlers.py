"""What becomes of a handler's call: its outputs, its errors, its retries. No NATS is needed."""

import asyncio
import contextlib
import functools
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.patience import PATIENCE
from workers.kit import BlockingStep, File, Json, Output, Step, Worker, permanent, transient
from workers.kit.testing import Outcome, WorkerTest


async def run(function: Any, payload: dict[str, Any] | None = None, **options: Any) -> Outcome:
    worker = Worker("tested")
    worker.handles("service")(function)
    async with WorkerTest(worker) as test:
        return await test.run("service", payload, **options)


async def test_a_coroutine_returns_a_text() -> None:
    async def greet(step: Step) -> str:
        return f"Hello {step.field('name', str)}"

    outcome = await run(greet, {"name": "Ada"})
    assert (outcome.status, outcome.texts, outcome.error) == ("completed", ["Hello Ada"], None)
    assert outcome.progress == [(0.0, "service started"), (1.0, "service done")]


async def test_a_plain_function_runs_in_a_thread_of_its_own() -> None:
    def greet(step: BlockingStep) -> str:
        step.progress(0.5, "half")
        return f"{step.field('name', str)} {threading.current_thread() is threading.main_thread()}"

    outcome = await run(greet, {"name": "Ada"})
    assert outcome.texts == ["Ada False"]
    assert outcome.progress[1] == (0.5, "half")


async def test_an_object_with_an_async_call_is_a_coroutine_handler() -> None:
    class Greeter:
        async def __call__(self, step: Step) -> str:
            return type(step).__name__

    assert (await run(Greeter())).texts == ["Step"]


async def test_a_partial_of_a_coroutine_is_a_coroutine_handler() -> None:
    async def greet(words: str, step: Step) -> str:
        return f"{words} {type(step).__name__}"

    assert (await run(functools.partial(greet, "Hello"))).texts == ["Hello Step"]


async def test_several_results_become_outputs_in_order(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_bytes(b"on disk")

    async def make(step: Step) -> list[str | File | Json | Output]:
        first = await step.upload(File("a.txt", "text/plain", b"in memory"))
        return [first, File("b.txt", "text/plain", tmp_path / "b.txt"), "text", Json({"a": [1, None]})]

    outcome = await run(make)
    assert [output.kind for output in outcome.outputs] == ["asset", "asset", "text", "json"]
    assert outcome.files == {"a.txt": b"in memory", "b.txt": b"on disk"}
    assert outcome.values == [{"a": [1, None]}]


async def test_a_file_of_the_payload_is_read_by_its_field() -> None:
    async def size(step: Step) -> str:
        return str(len(await step.download("image")))

    assert (await run(size, files={"image": b"12345"})).texts == ["5"]
    missing = await run(size)
    assert missing.error is not None
    assert (missing.error.code, missing.error.retryable) == ("VALIDATION_FAILED", False)


@pytest.mark.parametrize("payload", [{}, {"name": 5}, {"name": None}])
async def test_a_field_that_is_missing_or_wrong_fails_the_step(payload: dict[str, Any]) -> None:
    async def greet(step: Step) -> str:
        return step.field("name", str)

    error = (await run(greet, payload)).error
    assert error is not None
    assert (error.code, error.retryable) == ("VALIDATION_FAILED", False)
    assert error.message.startswith("/name: ")


@pytest.mark.parametrize(("fault", "retryable"), [(transient, True), (permanent, False)])
async def test_a_fault_of_the_handlers_own_is_the_result(fault: Any, *, retryable: bool) -> None:
    async def fail(_step: Step) -> str:
        raise fault("QUOTA", "none left")

    error = (await run(fail)).error
    assert error is not None
    assert (error.code, error.message, error.retryable) == ("QUOTA", "none left", retryable)


@pytest.mark.parametrize("returned", [None, 5, b"bytes", ["text", None], Json(object())])
async def test_what_is_no_output_is_the_workers_fault(returned: Any) -> None:
    async def make(_step: Step) -> Any:
        return returned

    error = (await run(make)).error
    assert error is not None
    assert (error.code, error.retryable) == ("WORKER_FAULT", False)


async def test_an_unexpected_error_does_not_reach_the_user_in_full() -> None:
    def fail(_step: BlockingStep) -> str:
        raise RuntimeError("secret")

    error = (await run(fail)).error
    assert error is not None
    assert (error.code, error.message) == ("WORKER_FAULT", "The worker itself failed (RuntimeError)")


async def test_a_call_is_retried_while_its_faults_are_transient() -> None:
    calls = 0

    async def flaky() -> str:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise transient("UNAVAILABLE", "not yet")
        return "there"

    async def ask(step: Step) -> str:
        return await step.retry(flaky)

    worker = Worker("tested")
    worker.handles("service")(ask)
    async with WorkerTest(worker, patience=PATIENCE) as test:
        assert (await test.run("service")).texts == ["there"]
    assert calls == 3


@pytest.mark.parametrize("fault", [transient, permanent])
async def test_a_blocking_call_is_retried_no_longer_than_the_patience(fault: Any) -> None:
    calls = 0

    def fail() -> str:
        nonlocal calls
        calls += 1
        raise fault("UNAVAILABLE", "never")

    def ask(step: BlockingStep) -> str:
        return step.retry(fail)

    worker = Worker("tested")
    worker.handles("service")(ask)
    async with WorkerTest(worker, patience=0.5 if fault is transient else PATIENCE) as test:
        outcome = await test.run("service")
    assert outcome.error is not None
    assert outcome.error.code == "UNAVAILABLE"
    assert calls == 1 if fault is permanent else calls > 1


async def test_the_lifespan_is_around_the_steps() -> None:
    events: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        events.append("begins")
        yield
        events.append("ends")

    worker = Worker("tested", lifespan=lifespan)

    @worker.handles("service")
    async def note(_step: Step) -> str:
        events.append("step")
        return ""

    async with WorkerTest(worker) as test:
        await test.run("service")
    assert events == ["begins", "step", "ends"]


def test_a_service_has_one_handler_and_a_name_that_may_be_in_a_subject() -> None:
    worker = Worker("tested")

    async def handler(_step: Step) -> str:
        return ""

    worker.handles("one")(handler)
    worker.handles("comfy", workflow_type="comfy_workflow")(handler)
    assert list(worker.handlers) == ["direct_job.one", "comfy_workflow.comfy"]
    with pytest.raises(ValueError, match=r"has a handler of direct_job\.one already"):
        worker.handles("one")
    for name in ("", "a.b", "a>", "*", "ä", "a b"):
        with pytest.raises(ValueError, match="must consist of"):
            worker.handles(name)


async def test_waiting_for_another_server_does_not_count_as_the_steps_time() -> None:
    async def wait(step: Step) -> str:
        before = step.seconds_left
        with step.waiting(), step.waiting():
            await asyncio.sleep(1.2)
            assert step.seconds_left > before - 0.5
        return "done"

    assert (await run(wait, seconds=1.0)).texts == ["done"]


async def test_such_a_wait_is_bounded() -> None:
    """What exceeds the step's own time counts."""

    async def wait(step: Step) -> None:
        with step.waiting():
            await asyncio.sleep(2 * PATIENCE)

    outcome = await run(wait, seconds=0.2)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("DEADLINE_EXCEEDED", True)
