"""The progress that a follower of history (read table, relay, consumer, process) reports.

Readiness, metrics and `emprops status` all use this only: how many events wait, for how long, at which event, with
which error. A heartbeat would show that a loop runs, but not that it makes progress.
"""

from typing import Protocol

import msgspec

PATIENCE = 10.0
"""Seconds that the oldest waiting event may wait before its follower counts as stuck."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot. Cheap: no query per waiting event."""

    name: str
    """The follower, as operators know it: `projection jobs_v3`, `relay`, `consumer credits-jobs-v1`."""
    waiting: int = 0
    """Events or messages not processed yet. A lower bound where counting all would cost too much."""
    waiting_seconds: float = 0.0
    """How long the oldest of them has waited."""
    event: str | None = None
    """The event on which it is stuck: its type, id and position."""
    error: str | None = None
    """The last error; None after the next success."""
    parked: int = 0
    """Dead letters that need an operator, and the events that wait for them."""
    leader: str | None = None
    """The instance that leads; None without a leader."""

    def stuck(self, patience: float = PATIENCE) -> str | None:
        """A sentence for operators if it makes no progress or has parked events, else None. `patience`: in seconds."""
        if self.parked:
            return f"{self.name}: {self.parked} parked: see emprops parked list"
        if self.waiting and self.waiting_seconds > patience:
            cause = "".join((f" on {self.event}" if self.event else "", f": {self.error}" if self.error else ""))
            return f"{self.name}: {self.waiting} waiting, for {self.waiting_seconds:.0f} s{cause}"
        return None


class Follower(Protocol):
    """What processes history in order: a projector, relay, consumer or process."""

    async def progress(self) -> list[Progress]:
        """At least one, always under the same names."""
        ...
