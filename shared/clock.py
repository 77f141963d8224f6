"""A clock without jumps, for deadlines and tokens while the system's clock is set forward or back.

Three rules for comparing times:

1. Inside one process, durations and deadlines use the monotonic clock (`loop.time()`).
2. Times that the database recorded are compared with the database's clock (`clock_timestamp()`); where the consequence
   can't be undone, this clock must agree.
3. Between machines there is a tolerance, and a rejection because of time alone is a transient error.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

NOTICEABLE = 2.0
"""Seconds of skew from which an operator is warned."""
SLEW = 0.05
"""How much faster or slower this clock runs to approach the system's clock: 3 seconds per minute."""


def _boot_time() -> float:
    """Monotonic seconds, which include time in suspension where the system supports it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


@dataclass(frozen=True)
class Reading:
    """One reading of another machine's clock, in seconds."""

    remote_time: float
    sent_at: float
    """The local system's time when the request was sent."""
    round_trip: float
    """Seconds until the response arrived."""

    @property
    def skew(self) -> float:
        """How far the local system's clock is ahead; the error is half of `round_trip` at most."""
        return self.sent_at + self.round_trip / 2 - self.remote_time

    @property
    def is_noticeable(self) -> bool:
        """Whether the clocks differ by more than the round trip explains."""
        return abs(self.skew) > NOTICEABLE + self.round_trip


class SteadyClock:
    """Follows the monotonic clock from the system's time at the start, and approaches the system's clock slowly.

    A step of the system's clock by an hour, put right again within minutes, moves this clock by seconds. Small
    corrections, as NTP makes them all the time, are followed at once.
    """

    def __init__(self, *, system: Callable[[], float] = time.time, monotonic: Callable[[], float] = _boot_time) -> None:
        self._system, self._monotonic = system, monotonic
        self._read_at, self._time = monotonic(), system()

    def __call__(self) -> datetime:
        """Now, in UTC."""
        return datetime.fromtimestamp(self.timestamp(), UTC)

    def timestamp(self) -> float:
        """Now, in seconds since 1970."""
        read_at = self._monotonic()
        elapsed = read_at - self._read_at
        self._read_at = read_at
        expected = self._time + elapsed
        difference = self._system() - expected
        if abs(difference) > NOTICEABLE:
            most = elapsed * SLEW
            difference = min(max(difference, -most), most)
        self._time = max(self._time, expected + difference)
        return self._time

    @property
    def skew(self) -> float:
        """Seconds that the system's clock is ahead of this one: above `NOTICEABLE`, the system's clock was set."""
        now = self.timestamp()
        return self._system() - now
