"""What the queue of steps remembers, with a store and a broker that only answer what is asked here."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

from services.generation.domain.turns import ReadyStep
from services.generation.engine.dispatch_queue import DispatchQueue
from services.generation.processes.dispatch_steps import key_of_message, message_id

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
