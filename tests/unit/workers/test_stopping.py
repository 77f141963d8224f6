"""How an attempt is stopped: at its deadline, by a cancellation, and when its handler does not stop."""

import asyncio
import contextlib
import threading

import pytest

from tests.support.patience import PATIENCE, eventually
from tests.unit.workers.test_handlers import run
from workers.kit import BlockingStep, Step, StepStopped, Worker, attempt
from workers.kit.testing import WorkerTest


async def test_a_handler_is_interrupted_at_its_deadline() -> None:
    async def wait(_step: Step) -> str:
        await asyncio.Event().wait()
        return ""

    error = (await run(wait, seconds=0.05)).error
    assert error is not None
    assert (error.code, error.retryable) == ("DEADLINE_EXCEEDED", True)


async def test_after_the_deadline_nothing_is_begun() -> None:
    async def never(_step: Step) -> str:
        raise AssertionError

    outcome = await run(never, seconds=0.0)
    assert outcome.error is not None
    assert (outcome.error.code, outcome.progress) == ("DEADLINE_EXCEEDED", [])


class Waiting:
    """A handler that waits until it is stopped, and then cleans up."""

    def __init__(self) -> None:
        self.worker = Worker("tested")
        self.worker.handles("service")(self.wait)
        self.cleaned_up: list[str | None] = []

    async def wait(self, step: Step) -> str:
        try:
            await step.progress(0.3, "waits")
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.cleaned_up.append(step.stopped)
        return ""


async def test_a_cancelled_step_ends_its_handler_which_may_clean_up() -> None:
    waiting = Waiting()
    async with WorkerTest(waiting.worker) as test:
        step = test.start("service")
        await eventually(lambda: (0.3, "waits") in step.progress, "the handler to wait")
        step.cancel()
        step.cancel()
        outcome = await step.outcome()
    assert outcome.error is not None
    assert (outcome.error.code, outcome.error.retryable) == ("CANCELLED", False)
    assert waiting.cleaned_up == ["cancelled"]


async def test_a_step_that_has_ended_is_not_cancelled_any_more() -> None:
    async def greet(_step: Step) -> str:
        return "done"

    worker = Worker("tested")
    worker.handles("service")(greet)
    async with WorkerTest(worker) as test:
        step = test.start("service")
        outcome = await step.outcome()
        step.cancel()
        assert outcome == await step.outcome()
        assert outcome.status == "completed"


async def test_a_thread_learns_that_it_is_cancelled_and_has_a_result_at_once() -> None:
    """The thread can't be interrupted: it is asked to end, and its calls raise."""
    began, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    def work(step: BlockingStep) -> str:
        began.set()
        go_on.wait(PATIENCE)
        try:
            step.progress(0.5)
        except StepStopped as stopped:
            if str(stopped) == "cancelled":
                ended.set()
        return "ignored"

    worker = Worker("tested")
    worker.handles("service")(work)
    async with WorkerTest(worker) as test:
        step = test.start("service")
        await eventually(began.is_set, "the thread to begin")
        step.cancel()
        outcome = await step.outcome()
        assert outcome.error is not None
        assert outcome.error.code == "CANCELLED"
        go_on.set()
        await eventually(ended.is_set, "the thread to learn of it")


async def test_a_handler_that_ignores_its_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attempt, "CLEANUP_SECONDS", 0.02)
    release = asyncio.Event()

    async def stubborn(_step: Step) -> str:
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()
        return ""

    error = (await run(stubborn, seconds=0.05)).error
    release.set()
    assert error is not None
    assert error.code == "DEADLINE_EXCEEDED"
