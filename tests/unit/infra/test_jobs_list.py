"""The times that `emprops jobs` takes, and how it prints credits."""

from datetime import UTC, datetime, timedelta, timezone

import click
import pytest

from infra.cli.api_access import amount
from infra.cli.jobs_list import Since


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-27", datetime(2026, 11, 27, tzinfo=UTC)),
        ("2026-11-27T08:30:00Z", datetime(2026, 11, 27, 8, 30, tzinfo=UTC)),
        ("2026-11-27T08:30:00+01:00", datetime(2026, 11, 27, 8, 30, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_a_date_or_time(text: str, expected: datetime) -> None:
    """In UTC, if it has no offset."""
    assert Since().convert(text, None, None) == expected


@pytest.mark.parametrize(
    ("text", "age"), [("30m", timedelta(minutes=30)), ("24h", timedelta(days=1)), ("7d", timedelta(days=7))]
)
def test_a_time_before_now(text: str, age: timedelta) -> None:
    before = datetime.now(UTC) - age
    assert before <= Since().convert(text, None, None) <= datetime.now(UTC) - age


@pytest.mark.parametrize("text", ["", "h", "-1h", "1w", "yesterday", "99999999999d", "2026-13-01"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Since().convert(text, None, None)


def test_amounts_are_exact_and_short() -> None:
    assert [amount(value) for value in (0, 2.5, 1234567.25, 0.000001, 100)] == [
        *("0", "2.5", "1234567.25", "0.000001", "100"),
    ]
