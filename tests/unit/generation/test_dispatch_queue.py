"""What the queue of steps remembers, with a store and a broker that only answer what is asked here."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import pytest

from services.generation.domain.turns import ReadyStep
from services.generation.domain.workflow import workflow_id
from services.generation.engine.dispatch import dispatch_queue, pauses
from services.generation.engine.dispatch.dispatch_queue import DispatchQueue
from services.generation.engine.dispatch.pauses import Pauses
from services.generation.processes.dispatch_steps import key_of_message, message_id
from shared.contracts.generation import JobPaused, JobResumed, JobUnpaused, WorkflowPaused, WorkflowUnpaused

NOW = datetime(2026, 11, 27, tzinfo=UTC)


async def test_a_step_that_waits_for_no_result_any_more_takes_no_room() -> None:
    """Its generation has ended otherwise, so no event of this attempt comes."""
    ended, running = (
        ReadyStep(uuid4(), 1, uuid4(), uuid4(), UUID(int=1), "direct_job.sketch", "sketch") for _ in range(2)
    )

    async def is_current(_gid: UUID, sid: UUID, _attempt: int) -> bool:
        return sid == running.sid

    handlers: Any = SimpleNamespace(store=None, is_current=is_current)
    nothing: Any = None
    queue = DispatchQueue(handlers, nothing, nothing, nothing, timedelta(seconds=30))
    for step in (ended, running):
        queue._turns.note_sent(step)
        queue._sent_at[step.key] = NOW - timedelta(seconds=6)
    await queue._end_stale(NOW - timedelta(seconds=5))
    assert [step.sid for step in queue._turns.sent()] == [running.sid]
    assert list(queue._sent_at) == [running.key]


def test_a_message_names_its_attempt() -> None:
    sid = uuid4()
    event: Any = SimpleNamespace(sid=sid, attempt=3)
    assert key_of_message({"Nats-Msg-Id": message_id(event)}) == (sid, 3)
    for text in ("", "x", "x:1", f"{sid}", f"{sid}:x"):
        assert key_of_message({"Nats-Msg-Id": text}) is None
    assert key_of_message({}) is None


class States:
    """A store that answers whether a job or a workflow is paused, when it may."""

    def __init__(self, *paused: UUID) -> None:
        self.paused, self.reads, self.may_answer = set(paused), 0, asyncio.Event()
        self.may_answer.set()

    async def load(self, _decider: Any, stream_id: UUID) -> Any:
        self.reads += 1
        is_paused = stream_id in self.paused
        await self.may_answer.wait()
        return SimpleNamespace(state=SimpleNamespace(is_paused=is_paused))


JOB, USER, SKETCH = uuid4(), uuid4(), workflow_id("sketch")


def pauses_of(states: Any) -> Pauses:
    return Pauses(states)


async def test_what_was_paused_before_is_read_once() -> None:
    states = States(JOB, SKETCH)
    learned = pauses_of(states)
    await asyncio.gather(*(learned.learn(JOB, "sketch") for _ in range(10)))
    await learned.learn(JOB, "frame")
    assert learned.paused == {JOB, "sketch"}
    assert states.reads == 3
    learned.forget()
    assert not learned.paused


async def test_events_pause_and_continue() -> None:
    """A job that is resumed is not paused any more. What events have named is not read."""
    learned = pauses_of(states := States())
    learned.note(JobPaused(JOB, USER))
    learned.note(WorkflowPaused(SKETCH, "sketch"))
    await learned.learn(JOB, "sketch")
    assert learned.paused == {JOB, "sketch"}
    learned.note(WorkflowUnpaused(SKETCH, "sketch"))
    learned.note(JobResumed(JOB, USER, 1, "start", [], 0))
    assert not learned.paused
    learned.note(JobPaused(JOB, USER))
    learned.note(JobUnpaused(JOB, USER))
    assert not learned.paused
    assert states.reads == 0


async def test_an_event_that_comes_during_a_read_is_newer_than_its_answer() -> None:
    learned = pauses_of(states := States(JOB))
    states.may_answer.clear()
    learning = asyncio.create_task(learned.learn(JOB, "sketch"))
    await asyncio.sleep(0)
    learned.note(JobUnpaused(JOB, USER))
    states.may_answer.set()
    await learning
    assert not learned.paused


async def test_what_is_known_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pauses, "MAX_FOLLOWED", 10)
    learned = pauses_of(states := States(JOB))
    for job_id in (JOB, *(uuid4() for _ in range(20))):
        await learned.learn(job_id, "sketch")
    assert len(learned._followed) == 10
    reads = states.reads
    await learned.learn(JOB, "sketch")
    assert states.reads > reads
    assert learned.paused == {JOB}


async def test_a_lost_step_of_a_paused_job_waits_until_it_is_continued(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was sent, and the work queue has lost it: sending it again would begin it."""
    step = ReadyStep(uuid4(), 1, uuid4(), JOB, USER, "direct_job.sketch", "sketch")

    async def is_current(*_: Any) -> bool:
        return True

    async def oldest_message(*_: Any) -> None:
        """Of an empty queue."""

    monkeypatch.setattr(dispatch_queue, "oldest_message", oldest_message)
    handlers: Any = SimpleNamespace(store=None, is_current=is_current)
    nothing: Any = None
    queue = DispatchQueue(handlers, nothing, nothing, nothing, timedelta(seconds=30))
    queue._turns.note_sent(step)
    queue._sent_at[step.key] = NOW - timedelta(seconds=60)
    paused: Any = SimpleNamespace(event=JobPaused(JOB, USER))
    await queue.react(paused)
    await queue._resend_lost(step.kind, NOW)
    assert (queue.resent, queue.waiting, queue._turns.next(lambda _: 8)) == (0, 1, [])
    continued: Any = SimpleNamespace(event=JobUnpaused(JOB, USER))
    await queue.react(continued)
    assert queue._turns.next(lambda _: 8) == [step]
