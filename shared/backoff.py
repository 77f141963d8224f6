"""Retries with backoff and jitter, over `stamina`: pauses, time bounds, and how often an error is logged.

Three shapes:

- `await Backoff("…", on=TRANSIENT_ERRORS).call(work)`: calls `work` until it succeeds, for `timeout` seconds at most.
- `await Backoff("…", on=TRANSIENT_ERRORS).repeat(work)`: a loop that survives outages (relay, consumer). When `work`
  returns, it is called again after the shortest pause.
- Any other loop has a `Backoff`, calls `await backoff.pause(error)` after a failure, and `backoff.reset()` after a
  success.

Pauses double from `first` to `longest` seconds, and each is shortened by up to a half at random (jitter), so that
replicas that failed together don't retry together. A try that lasted longer than `longest` counts as progress: the next
pause is the first one again. Errors that are not in `on` are raised at once. Cancellation ends a pause as it ends a
try.

An error is logged when it first occurs, and then every `LOG_AGAIN_AFTER` seconds, with the number of failures so far;
the end of an outage is logged once.

Use it for retries within a process. Retries that must survive the process (of a step, of a dead letter) are recorded.
"""

import asyncio
import functools
import importlib
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

import structlog

LOG_AGAIN_AFTER = 30.0
"""Seconds for which the same error is not logged again."""
MOST_DOUBLINGS = 16
"""Doublings after which a pause no longer grows, so that the power stays small."""
MAX_LOGGED = 16
"""Different errors that are remembered as logged."""

T = TypeVar("T")
RetriedErrors = tuple[type[Exception], ...] | Callable[[Exception], bool]
"""The errors that are retried: their types, or a function that returns whether an error is retried."""

log = structlog.get_logger()


@functools.cache
def _stamina() -> Any:
    """Imported at the first retry: code that only computes pauses does not need it."""
    stamina = importlib.import_module("stamina")
    # Its own hooks log every try, and count tries in a metric with a label per number, which is unbounded here.
    importlib.import_module("stamina.instrumentation").set_on_retry_hooks([])
    return stamina


class Backoff:
    """The retries of one piece of work, which logs call `name`. Don't share it between tasks.

    `quiet`: logs nothing, for commands, whose output is their result.
    """

    def __init__(
        self,
        name: str,
        *,
        on: RetriedErrors = (Exception,),
        first: float = 0.1,
        longest: float = 2.0,
        quiet: bool = False,
    ) -> None:
        self.name, self._on, self._first, self._longest = name, on, first, longest
        self._quiet = quiet
        self.failures = 0
        """Failures since the last success."""
        self.error: str | None = None
        """The last failure's error; None after a success."""
        self._began = self._failing_since = time.monotonic()
        self._logged_at: dict[str, float] = {}

    async def call(self, work: Callable[[], Awaitable[T]], *, timeout: float | None = None) -> T:  # noqa: ASYNC109 - it bounds the retries, and interrupts no try
        """Returns what `work` returns. Raises the last error after `timeout` seconds.

        With a `timeout` of 0 or less, it calls `work` once.
        """
        # Nearly every first try succeeds. It runs without stamina, whose setup takes longer than most work here.
        self._began = began = time.monotonic()
        try:
            result = await work()
        except Exception as raised:  # noqa: BLE001 - `_delay_after` decides whether it is retried
            first_error: Exception | None = raised
        else:
            self.reset()
            return result
        bounds: dict[str, Any] = {"attempts": 1, "timeout": None}
        if timeout is None:
            bounds["attempts"] = None
        elif (remaining := timeout - (time.monotonic() - began)) > 0:
            bounds = {"attempts": None, "timeout": remaining}
        async for attempt in _stamina().retry_context(on=self._delay_after, **bounds):
            with attempt:
                if first_error is not None:
                    error, first_error = first_error, None
                    raise error
                self._began = time.monotonic()
                result = await work()
        self.reset()
        return result

    async def repeat(self, work: Callable[[], Awaitable[object]]) -> NoReturn:
        """Calls `work` repeatedly, until cancelled or until it raises an error that is not in `on`."""
        while True:
            await self.call(work)
            await asyncio.sleep(self.next_pause())

    async def pause(self, error: Exception) -> None:
        """Waits after a try that failed with `error`. Raises it if it is not in `on`."""
        await asyncio.sleep(self.pause_after(error))
        self._began = time.monotonic()

    def pause_sync(self, error: Exception) -> None:
        """`pause` for code that is not asynchronous."""
        time.sleep(self.pause_after(error))
        self._began = time.monotonic()

    def pause_after(self, error: Exception) -> float:
        """The seconds that `pause` would wait, for a loop that waits in another way."""
        seconds = self._delay_after(error)
        if seconds is False:
            raise error
        self._began = time.monotonic() + seconds
        return seconds

    def reset(self) -> None:
        """Call it after a success: the next pause is the first one."""
        if self.failures and not self._quiet:
            log.info(
                "works_again",
                what=self.name,
                failures=self.failures,
                seconds=round(time.monotonic() - self._failing_since, 1),
            )
        self.failures, self.error = 0, None
        self._logged_at.clear()

    def next_pause(self) -> float:
        """A pause in seconds, at random within the bounds for the number of failures."""
        longest: float = min(self._longest, self._first * 2 ** min(max(self.failures - 1, 0), MOST_DOUBLINGS))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - no secret

    def _delay_after(self, error: Exception) -> bool | float:
        """The pause in seconds; False to raise the error. A hook of stamina."""
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
        if not self._quiet and now - self._logged_at.get(self.error, -LOG_AGAIN_AFTER) >= LOG_AGAIN_AFTER:
            if len(self._logged_at) >= MAX_LOGGED:
                self._logged_at.clear()
            self._logged_at[self.error] = now
            log.warning(
                "tries_again",
                what=self.name,
                error=self.error,
                kind=type(error).__name__,
                failures=self.failures,
                pause=round(pause, 2),
            )
        return pause
