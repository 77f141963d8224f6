"""The replicas of one service, in the order in which to try them, and the health checks that this order rests on.

Each replica is checked about twice a second. One that fails its check comes last until it passes again; it is never
left out, since a check may be wrong. The check asks whether the process runs, not what it can reach, so a replica that
has just answered 503 comes after the others for a while, too. The only replica of a service is checked often while
requests are sent to it, and otherwise seldom or when readiness is asked for, since there is no other one to choose.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime

import aiohttp

from shared.clock import Reading
from shared.stopping import run_together
from shared.telemetry import get_logger

REFUSED_FOR = 1.0
"""Seconds for which a replica that refused a connection comes after the others."""
UNAVAILABLE_FOR = 5.0
"""Seconds for which a replica that answered 503 comes after the others: it may have lost its database, or be behind."""
CHECK_INTERVAL = 0.5
"""Longest pause between two checks of a replica, in seconds; each is drawn from half of it upwards."""
IDLE_PAUSE = 3.5
"""Seconds, added to CHECK_INTERVAL, between two checks of a service's only replica while it gets no requests.

Less than the 5 s for which a server keeps an idle connection, so that all checks use one."""
BUSY_FOR = 10.0
"""Seconds after a request for which the only replica is checked often."""
FRESH, FRESH_FAILURE = 1.0, 2.5
"""Seconds for which the result of a check is current; the check of a silent replica takes longer."""
CHECK_TIMEOUT = aiohttp.ClientTimeout(total=1.4)
"""With the pause before it, less than the two seconds within which readiness reports a silent replica."""
RESULTS_TIMEOUT = 1.45
"""Seconds for which `unhealthy_now` waits for checks: as long as one may take."""
DATE_SECONDS = 2.0
"""How late the `Date` header may be: it has whole seconds, and uvicorn renews it once a second."""

log = get_logger("replicas")


class Replicas:
    """`urls` are base URLs, without a slash at the end."""

    def __init__(self, name: str, urls: Sequence[str]) -> None:
        assert urls, f"the service {name} needs at least one URL"
        self.name = name
        self.urls = [url.rstrip("/") for url in urls]
        self.unhealthy: dict[str, str] = {}
        """The replicas that failed their last check, by URL: the fault, such as `is silent`."""
        self.clocks: dict[str, Reading] = {}
        """Readings of the replicas' clocks, by URL, from their last checks."""
        self._first = 0
        self._avoided_until = dict.fromkeys(self.urls, 0.0)
        self._in_flight = dict.fromkeys(self.urls, 0)
        self._checked_at = dict.fromkeys(self.urls, float("-inf"))
        self._checked = asyncio.Condition()
        self._check_now = asyncio.Event()
        """Ends the idle pause."""
        self._busy_until = float("-inf")

    def by_preference(self) -> list[str]:
        """All URLs: healthy ones first, then those with the fewest requests in flight; equal ones in rotation."""
        if len(self.urls) == 1:
            return self.urls
        self._first = (self._first + 1) % len(self.urls)
        rotated = self.urls[self._first :] + self.urls[: self._first]
        now = time.monotonic()
        return sorted(
            rotated, key=lambda url: (url in self.unhealthy, self._avoided_until[url] > now, self._in_flight[url])
        )

    @contextlib.contextmanager
    def request_in_flight(self, url: str) -> Iterator[None]:
        """Wraps the time from sending a request to the beginning of its response."""
        self._in_flight[url] += 1
        self._busy_until = time.monotonic() + BUSY_FOR
        self._check_now.set()
        try:
            yield
        finally:
            self._in_flight[url] -= 1

    def note_refusal(self, url: str) -> None:
        """Records that a connection was refused: for REFUSED_FOR, the replica comes after the others."""
        self._avoid(url, REFUSED_FOR)

    def note_unavailable(self, url: str) -> None:
        """Records that a replica answered 503: for UNAVAILABLE_FOR, it comes after the others."""
        self._avoid(url, UNAVAILABLE_FOR)

    def _avoid(self, url: str, seconds: float) -> None:
        self._avoided_until[url] = max(self._avoided_until[url], time.monotonic() + seconds)

    async def unhealthy_now(self) -> dict[str, str]:
        """Like `unhealthy`, after waiting up to RESULTS_TIMEOUT for current checks of all replicas."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESULTS_TIMEOUT), self._checked:
                while not all(map(self._is_current, self.urls)):
                    self._check_now.set()
                    await self._checked.wait()
        return dict(self.unhealthy)

    def _is_current(self, url: str) -> bool:
        age = time.monotonic() - self._checked_at[url]
        return age < (FRESH_FAILURE if url in self.unhealthy else FRESH)

    async def watch(self, session: aiohttp.ClientSession) -> None:
        """Checks each replica until cancelled."""
        await run_together(*(self._watch(session, url) for url in self.urls))

    async def _watch(self, session: aiohttp.ClientSession, url: str) -> None:
        while True:
            fault, clock = await _check(session, url)
            if (fault is None) == (url in self.unhealthy):
                log.warning("replica", upstream=self.name, url=url, state=fault or "answers again")
            if fault is None:
                self.unhealthy.pop(url, None)
            else:
                self.unhealthy[url] = fault
            if clock is None:
                self.clocks.pop(url, None)
            else:
                self.clocks[url] = clock
            async with self._checked:
                self._checked_at[url] = time.monotonic()
                self._checked.notify_all()
            await self._pause()

    @property
    def is_idle(self) -> bool:
        """Whether checks may be seldom: a single replica, healthy, and with no request in the last BUSY_FOR seconds."""
        is_busy = time.monotonic() < self._busy_until or any(self._in_flight.values())
        return len(self.urls) == 1 and not is_busy and not self.unhealthy

    async def _pause(self) -> None:
        self._check_now.clear()
        await asyncio.sleep(CHECK_INTERVAL * random.uniform(0.5, 1))  # noqa: S311 - no secret
        if self.is_idle:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_PAUSE):
                    await self._check_now.wait()


async def _check(session: aiohttp.ClientSession, url: str) -> tuple[str | None, Reading | None]:
    """What is wrong with a replica, None if it is healthy; and its clock, if its response has a `Date`."""
    sent_at, since = time.time(), time.monotonic()
    try:
        async with session.get(f"{url}/health/live", timeout=CHECK_TIMEOUT) as response:
            clock = _clock(response.headers.get("Date", ""), sent_at, time.monotonic() - since)
            return (None if response.status == 200 else f"answers {response.status}"), clock
    except TimeoutError:
        return "is silent", None
    except (aiohttp.ClientError, OSError):
        return "can't be reached", None


def _clock(date: str, sent_at: float, round_trip: float) -> Reading | None:
    try:
        remote_time = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return Reading(remote_time + DATE_SECONDS / 2, sent_at, round_trip)
