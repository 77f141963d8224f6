"""What a follower of history says of its own progress: a read table, the relay, a consumer, a process.

Readiness, metrics and `emprops status` all judge by this, and by nothing else: what has been waiting, for how long, on
which event, with which error. A heartbeat proves only that a loop turns, not that anything gets done.
"""

from typing import Protocol

import msgspec

PATIENCE = 10.0
"""Seconds that the oldest waiting event may wait before its follower counts as stuck."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot, cheap to make: no query per event that waits."""

    name: str
    """The follower, as operators know it: `projection jobs_v3`, `relay`, `consumer credits-jobs-v1`."""
    waiting: int = 0
    """Events or messages that are not done yet. A lower bound where counting all would cost too much."""
    waiting_seconds: float = 0.0
    """How long the oldest of them has waited."""
    event: str | None = None
    """The event it is stuck on, with what finds it: its type, id and position."""
    error: str | None = None
    """The last error; None once something got done again."""
    parked: int = 0
    """Dead letters that need an operator, and the events that wait behind them."""
    leader: str | None = None
    """The instance that leads; None when nobody does."""

    def stuck(self, patience: float = PATIENCE) -> str | None:
        """The sentence that says what is not as it should be; None when all is well."""
        if self.parked:
            return f"{self.name}: {self.parked} parked: see emprops parked list"
        if self.waiting and self.waiting_seconds > patience:
            cause = "".join((f" on {self.event}" if self.event else "", f": {self.error}" if self.error else ""))
            return f"{self.name}: {self.waiting} waiting, for {self.waiting_seconds:.0f} s{cause}"
        return None


class Follower(Protocol):
    """Whoever follows history."""

    async def progress(self) -> list[Progress]:
        """One or more, always under the same names."""
        ...
