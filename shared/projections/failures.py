"""What happens to a read table that can't go on, and how it is told."""

from shared.projections.positions import NextEvent
from shared.projections.table import Table


class TableFailed(Exception):  # noqa: N818 - what happened to a table
    """One table could not apply a batch: its fold raised, or PostgreSQL refused a row. The batch was rolled back."""

    def __init__(self, table: Table | None, cause: Exception) -> None:
        super().__init__(f"{table.name if table else 'a batch'}: {describe(cause)}")
        self.table, self.cause = table, cause


class Stuck(Exception):  # noqa: N818 - a state, which an operator may end
    """A table can't apply the next event, which was tried alone."""

    def __init__(self, table: str, event: NextEvent | None, cause: Exception) -> None:
        super().__init__(f"{table} can't take in {event.text if event else 'what comes next'}: {describe(cause)}")
        self.table, self.event, self.cause = table, event, cause


def describe(error: BaseException) -> str:
    """An error in one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:500] if text else type(error).__name__
