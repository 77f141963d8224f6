"""The results that can't be recorded at the moment: when to park one, and what readiness shows of them."""

import asyncio
from dataclasses import dataclass, field

from nats.aio.msg import Msg

from shared.handling.transient import is_transient

MAX_DELIVERIES = 5
"""Deliveries of a result that fails for a reason of its own, before it is parked."""
MAX_TRIES_WHILE_OTHERS_PASS = 10
"""Tries of a result that fails as if a server were away, while other results are recorded, before it is parked."""


@dataclass
class Failing:
    """A result that was not recorded yet. `since` and `last` (the latest try here): the event loop's time."""

    subject: str
    since: float
    last: float
    error: str = ""
    tries_while_others_passed: int = 0
    recorded_before: int = 0


@dataclass
class FailingResults:
    """`forget_after`: seconds after which a result that did not come again was recorded by another replica."""

    forget_after: float
    _by_sequence: dict[int, Failing] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._by_sequence)

    def add(self, message: Msg, error: Exception, recorded: int) -> bool:
        """Records a failure; returns whether to park the result. `recorded`: results that this process has recorded."""
        now = asyncio.get_running_loop().time()
        sequence = message.metadata.sequence.stream
        failing = self._by_sequence.setdefault(sequence, Failing(message.subject, now, now))
        failing.error, failing.last = repr(error), now
        failing.tries_while_others_passed += recorded > failing.recorded_before
        failing.recorded_before = recorded
        if is_transient(error):
            return failing.tries_while_others_passed >= MAX_TRIES_WHILE_OTHERS_PASS
        return message.metadata.num_delivered >= MAX_DELIVERIES

    def remove(self, message: Msg) -> None:
        self._by_sequence.pop(message.metadata.sequence.stream, None)

    def oldest(self) -> Failing | None:
        """The one that has failed for longest, of those that still come again."""
        now = asyncio.get_running_loop().time()
        self._by_sequence = {
            sequence: failing
            for sequence, failing in self._by_sequence.items()
            if now - failing.last < self.forget_after
        }
        return next(iter(self._by_sequence.values()), None)
