"""Times of the input, in UTC: a time near the ends of the calendar may have none there."""

from datetime import UTC, datetime

from shared.contracts.problem import Detail, invalid


def in_utc(time: datetime, pointer: str) -> datetime:
    """The time in UTC. Raises VALIDATION_FAILED at `pointer` for one without a zone, or out of the calendar there."""
    if time.tzinfo is None:
        message = "a time needs a zone: write it in UTC, such as …T12:00:00Z"
        raise invalid(message, Detail(pointer, message))
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        message = "is no time between the years 1 and 9999 in UTC"
        raise invalid(f"{pointer} {message}", Detail(pointer, message)) from error
