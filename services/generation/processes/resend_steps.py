"""Which open steps the watchdog sends again: those that the work queue has lost.

A queue is in order, so a step that was ready before the oldest message in its queue is no longer in it.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from uuid import UUID

from services.generation.projections.open_steps import OpenStepRow

CLOCK_SLACK = timedelta(seconds=60)
"""How much the clocks of broker and database may differ; if they differ by more, a step may be sent twice."""

SentAttempts = Mapping[tuple[UUID, int], datetime]
"""When this process last sent an attempt, by sid and attempt."""


def lost_before(oldest_message: datetime | None, ready_before: datetime) -> datetime:
    """Steps that were ready before this time are not in their queue. `oldest_message`: None for an empty queue."""
    return ready_before if oldest_message is None else min(ready_before, oldest_message - CLOCK_SLACK)


def lost_steps(steps: Iterable[OpenStepRow], until: datetime, sent: SentAttempts) -> Iterator[OpenStepRow]:
    """The steps that were neither ready nor sent after `until`."""
    return (step for step in steps if sent.get((step.sid, step.attempt), step.ready_at) <= until)
