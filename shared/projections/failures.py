"""Errors of a read table that can't apply an event."""

from shared.projections.positions import NextEvent
from shared.projections.table import Table


class TableFailed(Exception):  # noqa: N818 - a state of the table
    """A table could not apply a batch: its fold raised, or PostgreSQL rejected a row. The batch was rolled back.

    `table` is None when an event could not be decoded.
    """

    def __init__(self, table: Table | None, cause: Exception) -> None:
        super().__init__(f"{table.name if table else 'a batch'}: {describe(cause)}")
        self.table, self.cause = table, cause


class Stuck(Exception):  # noqa: N818 - a state of the table, until an operator skips the event
    """A table can't apply the next event, even alone."""

    def __init__(self, table: str, event: NextEvent | None, cause: Exception) -> None:
        super().__init__(f"{table} can't apply {event.text if event else 'the next event'}: {describe(cause)}")
        self.table, self.event, self.cause = table, event, cause


def describe(error: BaseException) -> str:
    """The error's type and text in one line of at most 500 characters."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__
