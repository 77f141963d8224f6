"""Which sent steps the work queue has lost.

A queue is in order, so a step that was sent before the oldest message in its queue is no longer in it.
"""

from datetime import datetime, timedelta

CLOCK_SLACK = timedelta(seconds=60)
"""How much the clocks of broker and service may differ; if they differ by more, a step may be sent twice."""


def lost_before(oldest_message: datetime | None, sent_before: datetime) -> datetime:
    """Steps that were sent before this time are not in their queue. `oldest_message`: None for an empty queue."""
    return sent_before if oldest_message is None else min(sent_before, oldest_message - CLOCK_SLACK)
