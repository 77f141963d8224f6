"""The addresses of one service: asked in turn, the busier ones later, and last those that refuse or keep silent.

Each is looked at twice a second. One that does not answer comes after the others until it does again; while none does,
all are still tried, since a look may be wrong. The only address of a service is looked at so often while requests are
sent to it; else seldom, and when somebody asks how it is (`troubles`): there is no other one to turn to.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime

import aiohttp

from shared.clock import Reading
from shared.stopping import together
from shared.telemetry import get_logger

DOWN_FOR = 1.0
"""Seconds for which a replica that refused a connection is asked after the others."""
LOOK_EVERY = 0.5
LOOK_SELDOM = 3.5
"""Seconds, beside LOOK_EVERY, between two looks at the only address of a service to which nobody sends requests.

Less than the 5 s for which a server keeps an unused connection, so that all looks need one."""
LOOK_ON_FOR = 10.0
"""Seconds for which it is looked at often after a request."""
FRESH, FRESH_TROUBLE = 1.0, 2.5
"""Seconds for which what a look found is the answer; a look at what is silent lasts longer."""
LOOK_TIMEOUT = aiohttp.ClientTimeout(total=1.4)
"""With the pause before it, less than the two seconds within which silence is told."""

LOOKS_WITHIN = 1.45
"""Seconds for which an answer waits for a look: as long as one may take."""
DATE_SECONDS = 2.0
"""How late `Date` may be: it has whole seconds, and uvicorn makes it anew once a second."""

log = get_logger("replicas")


class Replicas:
    def __init__(self, name: str, urls: Sequence[str]) -> None:
        assert urls, f"the service {name} needs at least one URL"
        self.name = name
        self.urls = [url.rstrip("/") for url in urls]
        self._next = 0
        self._down_until = dict.fromkeys(self.urls, 0.0)
        self._waiting = dict.fromkeys(self.urls, 0)
        self.out: dict[str, str] = {}
        """Those that did not answer when they were last looked at, with what they did instead."""
        self.clocks: dict[str, Reading] = {}
        """Of those that answered when they were last looked at."""
        self._looked_at = dict.fromkeys(self.urls, float("-inf"))
        self._news = asyncio.Condition()
        self._wanted = asyncio.Event()
        """Set when the next look is not to be waited for."""
        self._busy_until = float("-inf")

    def in_turn(self) -> list[str]:
        """All base URLs, beginning with the one for which the fewest requests wait; among equals, the next in turn."""
        if len(self.urls) == 1:
            return self.urls
        self._next = (self._next + 1) % len(self.urls)
        turned = self.urls[self._next :] + self.urls[: self._next]
        now = time.monotonic()
        return sorted(turned, key=lambda url: (url in self.out, self._down_until[url] > now, self._waiting[url]))

    @contextlib.contextmanager
    def asked(self, url: str) -> Iterator[None]:
        """While a request waits for this replica to begin its answer."""
        self._waiting[url] += 1
        self._busy_until = time.monotonic() + LOOK_ON_FOR
        self._wanted.set()
        try:
            yield
        finally:
            self._waiting[url] -= 1

    def refused(self, url: str) -> None:
        """Notes that a connection could not be made."""
        self._down_until[url] = time.monotonic() + DOWN_FOR

    async def troubles(self) -> dict[str, str]:
        """Those that do not answer, with what they do instead, by looks of this moment."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOKS_WITHIN), self._news:
                while not all(map(self._is_known, self.urls)):
                    self._wanted.set()
                    await self._news.wait()
        return dict(self.out)

    def _is_known(self, url: str) -> bool:
        age = time.monotonic() - self._looked_at[url]
        return age < (FRESH_TROUBLE if url in self.out else FRESH)

    async def watch(self, session: aiohttp.ClientSession) -> None:
        """Looks at each replica until cancelled."""
        await together(*(self._watch(session, url) for url in self.urls))

    async def _watch(self, session: aiohttp.ClientSession, url: str) -> None:
        while True:
            fault, clock = await _look(session, url)
            if (fault is None) == (url in self.out):
                log.warning("replica", upstream=self.name, url=url, state=fault or "answers again")
            if fault is None:
                self.out.pop(url, None)
            else:
                self.out[url] = fault
            if clock is None:
                self.clocks.pop(url, None)
            else:
                self.clocks[url] = clock
            async with self._news:
                self._looked_at[url] = time.monotonic()
                self._news.notify_all()
            await self._pause()

    @property
    def may_rest(self) -> bool:
        """Whether there is nothing to turn to, nothing to be turned away from, and no request under way."""
        is_busy = time.monotonic() < self._busy_until or any(self._waiting.values())
        return len(self.urls) == 1 and not is_busy and not self.out

    async def _pause(self) -> None:
        self._wanted.clear()
        await asyncio.sleep(LOOK_EVERY * random.uniform(0.5, 1))  # noqa: S311 - no secret
        if self.may_rest:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SELDOM):
                    await self._wanted.wait()


async def _look(session: aiohttp.ClientSession, url: str) -> tuple[str | None, Reading | None]:
    """What is wrong with a replica, None when it answers; and its clock, when it told the time."""
    asked, since = time.time(), time.monotonic()
    try:
        async with session.get(f"{url}/health/live", timeout=LOOK_TIMEOUT) as response:
            clock = _clock(response.headers.get("Date", ""), asked, time.monotonic() - since)
            return (None if response.status == 200 else f"answers {response.status}"), clock
    except TimeoutError:
        return "is silent", None
    except (aiohttp.ClientError, OSError):
        return "can't be reached", None


def _clock(date: str, asked: float, took: float) -> Reading | None:
    try:
        theirs = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return None
    return Reading(theirs + DATE_SECONDS / 2, asked, took)
