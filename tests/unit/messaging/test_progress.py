"""Up to where a consumer has settled everything, in the owner's own history."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.messaging.progress import Mark

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@given(st.integers(1, 1000), st.integers(1, 1000))
def test_what_came_before_is_within(position: int, settled: int) -> None:
    """In one history time and position grow together."""
    event, mark = (Mark(each, NOON + timedelta(seconds=each)) for each in (position, settled))
    assert event.within(mark) == (position <= settled)
    assert not event.within(event.before())
    assert Mark(position - 1, NOON).within(event.before())


def test_a_position_of_another_history_is_not() -> None:
    """The owner's database was restored from a backup: positions are given again, but later."""
    assert not Mark(5, NOON + timedelta(hours=1)).within(Mark(10, NOON))
