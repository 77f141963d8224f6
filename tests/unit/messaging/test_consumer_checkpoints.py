"""A consumer's mark: what lies before it, and what only looks as if it did."""

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
def test_what_is_covered(event: HistoryPoint, covered: bool) -> None:  # noqa: FBT001
    """Epochs come before positions; and an event that was recorded later is of another history."""
    assert HistoryPoint(2, 10, THEN).covers(event) is covered


def test_a_mark_names_one_event() -> None:
    """An older release kept no id, so its marks name whatever stands at their position."""
    one, other = uuid4(), uuid4()
    assert HistoryPoint(1, 5, THEN, one, 7).names(HistoryPoint(1, 5, LATER, one, 9))
    assert not HistoryPoint(1, 5, THEN, one, 7).names(HistoryPoint(1, 5, THEN, other, 7))
    assert not HistoryPoint(2, 5, THEN, one).names(HistoryPoint(1, 5, THEN, one))
    assert HistoryPoint(1, 5, THEN).names(HistoryPoint(1, 5, THEN, other))
