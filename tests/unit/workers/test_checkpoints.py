"""Checkpoints as handlers see them: what one attempt stores, the next one finds."""

from typing import Any

import pytest

from workers.kit import BlockingStep, Step, Worker
from workers.kit.testing import Outcome, WorkerTest


async def run(function: Any, **options: Any) -> Outcome:
    worker = Worker("tested")
    worker.handles("service")(function)
    async with WorkerTest(worker) as test:
        return await test.run("service", **options)


async def test_a_task_is_started_once_for_two_attempts() -> None:
    started: list[str] = []

    async def work(step: Step) -> str:
        checkpoint = await step.newest_checkpoint()
        if checkpoint is None:
            started.append("task")
            checkpoint = {"task": "t-1"}
            await step.checkpoint(checkpoint)
        return str(checkpoint["task"])

    first = await run(work)
    second = await run(work, attempt=2, checkpoint=first.checkpoints[-1])
    assert (first.texts, second.texts, started) == (["t-1"], ["t-1"], ["task"])


async def test_a_blocking_handler_has_them_too() -> None:
    def work(step: BlockingStep) -> str:
        step.checkpoint({"page": 7})
        return str((step.newest_checkpoint() or {})["page"])

    outcome = await run(work)
    assert (outcome.texts, outcome.checkpoints) == (["7"], [{"page": 7}])


@pytest.mark.parametrize("value", ["x" * 4096, object()], ids=["too large", "no JSON"])
async def test_what_can_t_be_kept_fails_the_step(value: Any) -> None:
    async def work(step: Step) -> str:
        await step.checkpoint({"value": value})
        return "done"

    outcome = await run(work)
    assert outcome.error
    assert (outcome.error.code, outcome.error.retryable, outcome.checkpoints) == ("CHECKPOINT_REFUSED", False, [])
