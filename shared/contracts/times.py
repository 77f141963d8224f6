"""Conversion of input times to UTC."""

from datetime import UTC, datetime

from shared.contracts.problem import Detail, invalid


def in_utc(time: datetime, pointer: str) -> datetime:
    """The time in UTC. Raises VALIDATION_FAILED at `pointer` if it has no UTC offset, or is not in years 1 to 9999."""
    if time.tzinfo is None:
        message = "a time needs a UTC offset, such as 2026-12-01T12:00:00Z"
        raise invalid(message, Detail(pointer, message))
    try:
        return time.astimezone(UTC)
    except OverflowError as error:
        message = "must be between the years 1 and 9999 in UTC"
        raise invalid(f"{pointer} {message}", Detail(pointer, message)) from error
