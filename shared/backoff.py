"""Trying again: how long to wait, for how long to go on, and how often to say so. Over `stamina`; nothing else pauses.

Three shapes:

- `await Backoff("…", on=PASSING).call(work)`: one thing, until it succeeds, or until `timeout` seconds are over.
- `await Backoff("…", on=PASSING).forever(round_)`: a loop that lives through outages (relay, consumer, listener). A
  round that returns is followed by the next one after the shortest pause.
- A loop of another shape keeps a `Backoff`, calls `await backoff.pause(error)` where it would have slept, and
  `backoff.reset()` when something got done.

Pauses double from `first` to `longest` seconds, and each is shortened by up to a half at random, so that replicas that
failed together don't come back together. A try that lasted longer than `longest` had got somewhere: the next pause is
the first one again. What is not in `on` is raised at once. Cancelling ends a pause as it ends a try.

The same error is logged when it comes first and then every `SAY_AGAIN_AFTER` seconds, with the number of tries so far;
the end of an outage is logged once.

This is for waiting in a process. What must survive one (the next try of a step, of a dead letter) is recorded instead.
"""

import asyncio
import functools
import importlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import structlog

SAY_AGAIN_AFTER = 30.0
"""Seconds for which the same error of the same work is not logged again."""
MOST_DOUBLINGS = 16
REMEMBERED = 16
"""How many errors of one piece of work are remembered as told."""

T = TypeVar("T")
Passing = tuple[type[Exception], ...] | Callable[[Exception], bool]
"""Which errors another try may find gone."""

log = structlog.get_logger()


@functools.cache
def _stamina() -> Any:
    """Imported for `call`: who reckons pauses only does without."""
    stamina = importlib.import_module("stamina")
    # Its own hooks log every try, and count them by their number, which has no bound where tries have none.
    importlib.import_module("stamina.instrumentation").set_on_retry_hooks([])
    return stamina


class Backoff:
    """Of one piece of work, named `name` in logs; not shared between tasks.

    `quiet`: nothing is logged, for command lines, whose output is an answer.
    """

    def __init__(
        self,
        name: str,
        *,
        on: Passing = (Exception,),
        first: float = 0.1,
        longest: float = 2.0,
        quiet: bool = False,
    ) -> None:
        self.name, self._on, self._first, self._longest = name, on, first, longest
        self._quiet = quiet
        self.failures = 0
        """Tries that failed since the last one that worked."""
        self.error: str | None = None
        """What the last try failed with; None once one has worked."""
        self._began = self._failing_since = time.monotonic()
        self._told: dict[str, float] = {}

    async def call(self, work: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T:  # noqa: ASYNC109
        """What `work` returns, once it does. After `timeout` seconds, the error of the last try is raised.

        With no time left (`timeout` of 0 or less) it is tried once.
        """
        # Nearly every first try works. It is made without stamina, whose preparations take longer than most work here.
        self._began = began = time.monotonic()
        try:
            result = await work()
        except Exception as raised:  # noqa: BLE001 - whether it is tried again is decided below
            failed: Exception | None = raised
        else:
            self.reset()
            return result
        bounds: dict[str, Any] = {"attempts": 1, "timeout": None}
        if timeout is None:
            bounds["attempts"] = None
        elif (left := timeout - (time.monotonic() - began)) > 0:
            bounds = {"attempts": None, "timeout": left}
        async for attempt in _stamina().retry_context(on=self._delay_after, **bounds):
            with attempt:
                if failed is not None:  # of the first try
                    error, failed = failed, None
                    raise error
                self._began = time.monotonic()
                result = await work()
        self.reset()
        return result

    async def forever(self, work: Callable[[], Awaitable[object]]) -> NoReturn:
        """Calls `work` again and again, until cancelled or until it raises what is not in `on`."""
        while True:
            await self.call(work)
            await asyncio.sleep(self.next_pause())

    async def pause(self, error: Exception) -> None:
        """Waits as long as `error`, which a try has just ended with, asks for. One that is not in `on` is raised."""
        await asyncio.sleep(self.pause_after(error))
        self._began = time.monotonic()

    def pause_sync(self, error: Exception) -> None:
        """`pause` for code that is not asynchronous."""
        time.sleep(self.pause_after(error))
        self._began = time.monotonic()

    def pause_after(self, error: Exception) -> float:
        """The seconds that `pause` would wait, for a loop that waits in another way. The next try begins after them."""
        seconds = self._delay_after(error)
        if seconds is False:
            raise error
        self._began = time.monotonic() + seconds
        return seconds

    def reset(self) -> None:
        """Something worked: the next pause is the first one."""
        if self.failures and not self._quiet:
            log.info(
                "works_again",
                what=self.name,
                failures=self.failures,
                seconds=round(time.monotonic() - self._failing_since, 1),
            )
        self.failures, self.error = 0, None
        self._told.clear()

    def next_pause(self) -> float:
        """Seconds, at random within the bounds for so many failures."""
        longest: float = min(self._longest, self._first * 2 ** min(max(self.failures - 1, 0), MOST_DOUBLINGS))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def _delay_after(self, error: Exception) -> bool | float:
        """The pause in seconds; False says that the error is to be raised. A hook of stamina's."""
        if not (isinstance(error, self._on) if isinstance(self._on, tuple) else self._on(error)):
            return False
        now = time.monotonic()
        if now - self._began > self._longest:
            self.failures = 0
        if not self.failures:
            self._failing_since = now
        self.failures += 1
        self.error = next(iter(str(error).splitlines()), "") or repr(error)
        pause = self.next_pause()
        if not self._quiet and now - self._told.get(self.error, -SAY_AGAIN_AFTER) >= SAY_AGAIN_AFTER:
            if len(self._told) >= REMEMBERED:
                self._told.clear()
            self._told[self.error] = now
            log.warning(
                "tries_again",
                what=self.name,
                error=self.error,
                kind=type(error).__name__,
                failures=self.failures,
                pause=round(pause, 2),
            )
        return pause
