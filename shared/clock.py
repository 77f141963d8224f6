"""The time, without jumps: what deadlines and tokens are reckoned with while a machine's clock is put forward or back.

Three rules, for whoever compares times:

1. Inside one process, durations and deadlines use the monotonic clock (`loop.time()`).
2. What the database recorded is compared with the database's clock (`clock_timestamp()`); where the consequence can't
   be taken back, this clock must agree.
3. Between machines there is a tolerance, and a refusal for time alone is a passing error.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

NOTICEABLE = 2.0
"""Seconds of skew that are worth telling an operator."""
SLEW = 0.05
"""How much faster or slower than real this clock runs while the system's clock is another: 3 seconds in a minute."""


def _boot_time() -> float:
    """Seconds, monotonic, and counting on while the machine is suspended where the system offers that."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Reading:
    """One look at another machine's clock; all in seconds."""

    theirs: float
    asked: float
    """By the system's clock here, when the question was sent."""
    took: float
    """Until the answer was here."""

    @property
    def skew(self) -> float:
        """How far the system's clock here is ahead; up to half of `took` more or less."""
        return self.asked + self.took / 2 - self.theirs

    @property
    def is_noticeable(self) -> bool:
        """Whether the clocks differ by more than the way of question and answer explains."""
        return abs(self.skew) > NOTICEABLE + self.took


class SteadyClock:
    """Follows the monotonic clock from the system's time at the start, and approaches the system's clock slowly.

    A step of the system's clock by an hour, put right again within minutes, moves this clock by seconds. Small
    corrections, as NTP makes them all the time, are followed at once.
    """

    def __init__(self, *, system: Callable[[], float] = time.time, monotonic: Callable[[], float] = _boot_time) -> None:
        self._system, self._monotonic = system, monotonic
        self._looked_at, self._time = monotonic(), system()

    def __call__(self) -> datetime:
        """Now, in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def timestamp(self) -> float:
        """Now, in seconds since 1970."""
        looked_at = self._monotonic()
        passed = looked_at - self._looked_at
        self._looked_at = looked_at
        expected = self._time + passed
        difference = self._system() - expected
        if abs(difference) > NOTICEABLE:
            most = passed * SLEW
            difference = min(max(difference, -most), most)
        self._time = max(self._time, expected + difference)
        return self._time

    @property
    def skew(self) -> float:
        """Seconds that the system's clock is ahead of this one: more than `NOTICEABLE` says that it was set."""
        now = self.timestamp()
        return self._system() - now
