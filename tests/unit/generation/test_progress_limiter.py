"""Followers receive at most two reports of a step in a second, and always its latest one."""

import asyncio
from uuid import UUID

from services.generation.event_stream.progress import ProgressLimiter
from shared.contracts.work import Progress
from tests.support.patience import eventually

JOB = UUID(int=1)
FIRST, SECOND = UUID(int=2), UUID(int=3)


def report(sid: UUID, share: float) -> Progress:
    return Progress(JOB, JOB, sid, 11, share)


async def test_the_first_comes_at_once_and_then_the_latest() -> None:
    sent: list[tuple[UUID, float]] = []
    limiter = ProgressLimiter(lambda progress: sent.append((progress.sid, progress.progress)), interval=0.05)
    for share in (0.1, 0.2, 0.3):
        limiter.note(report(FIRST, share))
    limiter.note(report(SECOND, 0.9))
    assert sent == [(FIRST, 0.1), (SECOND, 0.9)]
    await eventually(lambda: len(sent) == 3, "the latest of the first step")
    assert sent[-1] == (FIRST, 0.3)
    limiter.note(report(FIRST, 0.4))
    assert len(sent) == 3, "within the interval after the last one"
    await eventually(lambda: sent[-1] == (FIRST, 0.4), "it at the end of the interval")


async def test_nothing_waits_after_the_last_follower_has_left() -> None:
    sent: list[float] = []
    limiter = ProgressLimiter(lambda progress: sent.append(progress.progress), interval=0.0)
    limiter.note(report(FIRST, 0.1))
    limiter.note(report(FIRST, 0.2))
    limiter.close()
    for _ in range(10):
        await asyncio.sleep(0)
    assert sent == [0.1]
