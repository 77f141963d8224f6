"""Which messages a consumer's checkpoint covers."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from shared.messaging.consumer_checkpoints import HistoryPoint

THEN = datetime(2026, 1, 1, tzinfo=UTC)
LATER = THEN + timedelta(hours=1)


@pytest.mark.parametrize(
    ("event", "covered"),
    [
        (HistoryPoint(1, 10, THEN), True),
        (HistoryPoint(2, 10, THEN), True),
        (HistoryPoint(2, 11, THEN), False),
        (HistoryPoint(3, 1, THEN), False),
        (HistoryPoint(1, 99, THEN), True),
        (HistoryPoint(2, 9, LATER), False),
    ],
)
def test_events_before_the_checkpoint_are_covered(event: HistoryPoint, covered: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Epochs are compared before positions. An event that was recorded after the checkpoint's is not covered."""
    assert HistoryPoint(2, 10, THEN).covers(event) is covered


def test_a_checkpoint_identifies_one_event() -> None:
    """Those of earlier releases have no event id, and stand for any event at their position."""
    event_id, other_id = uuid4(), uuid4()
    assert HistoryPoint(1, 5, THEN, event_id, 7).names(HistoryPoint(1, 5, LATER, event_id, 9))
    assert not HistoryPoint(1, 5, THEN, event_id, 7).names(HistoryPoint(1, 5, THEN, other_id, 7))
    assert not HistoryPoint(2, 5, THEN, event_id).names(HistoryPoint(1, 5, THEN, event_id))
    assert HistoryPoint(1, 5, THEN).names(HistoryPoint(1, 5, THEN, other_id))
