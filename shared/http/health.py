"""`/health/live`: the process runs. `/health/ready`: whether it can serve, and whether its background work progresses.

Readiness answers two questions, for load balancers and for operators:

- *Should this replica get requests?* `checks`: what it can't serve without: its database, its writer, the broker, the
  file store. If one fails, readiness is 503, because another replica may be able to serve.
- *Does an operator have to act?* `followers` and `order`: whether the followers of history make progress, whether
  something is parked, whether clocks agree. These are described in sentences, and readiness stays 200: all replicas
  have the same problem, and removing them all would make it worse. `emprops status` exits with 1 for either.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec

from shared.clock import Reading
from shared.progress import Follower, Progress
from shared.telemetry.logging import get_logger

log = get_logger("health")

CHECK_TIMEOUT = 1.5
"""Seconds for which a response waits for each check, so that it is sent within two."""
GIVE_UP = 30.0
"""Seconds after which a check that has not ended is cancelled and started again, over a new connection."""

Check = Callable[[], Awaitable[str | None]]
"""Passes by returning a remark or None; fails by raising. Only the texts of NotReady are shown to clients."""
Status = Literal["ok", "degraded", "failing"]


class NotReady(Exception):  # noqa: N818 - a state, not an error
    """Why a check fails, in a sentence that may be shown to anyone."""


def agreement(whose: str, reading: Reading) -> str:
    """The difference between this clock and another one (`whose`: "NATS's"). Raises NotReady if it is noticeable."""
    if reading.is_noticeable:
        side = "ahead of" if reading.skew > 0 else "behind"
        raise NotReady(f"this clock is {abs(reading.skew):.1f} s {side} {whose}")
    return f"{abs(reading.skew):.3f} s from {whose}"


class CheckResult(msgspec.Struct, frozen=True):
    status: Status
    """failing: it can't serve; degraded: it serves, and an operator has to act."""
    detail: str | None = None


class Standing(msgspec.Struct, frozen=True):
    """A follower's progress, and a sentence about its problem, if it has one."""

    progress: Progress
    trouble: str | None


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    status: Status
    checks: dict[str, CheckResult]
    followers: list[Standing] = []

    @property
    def can_serve(self) -> bool:
        """Whether requests may be sent here: also when degraded."""
        return self.status != "failing"

    @property
    def http_status(self) -> int:
        """The status of the readiness response."""
        return 200 if self.can_serve else 503


class Readiness:
    """The checks and followers of one process. They may be added at any time."""

    def __init__(self, checks: dict[str, Check] | None = None, *, seconds: float = CHECK_TIMEOUT) -> None:
        """`seconds`: how long a response waits for each check; one that takes longer fails alone."""
        self.checks = {} if checks is None else checks
        self.order: dict[str, Check] = {}
        self.followers: dict[str, Follower] = {}
        self._seconds = seconds
        self._running: dict[str, tuple[float, asyncio.Task[object]]] = {}

    async def look(self) -> Health:
        """Runs all checks at the same time, each bounded; one that is still running is not started a second time."""
        works: dict[str, Callable[[], Awaitable[object]]] = {
            **self.checks,
            **self.order,
            **{name: follower.progress for name, follower in self.followers.items()},
        }
        tasks = {name: self._start(name, work) for name, work in works.items()}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self._seconds)
        results, standings = {}, list[Standing]()
        for name, task in tasks.items():
            if name in self.followers:
                results[name], of_follower = self._standing(name, task)
                standings += of_follower
            else:
                results[name] = self._result(name, task, "failing" if name in self.checks else "degraded")
        return Health(_worst(results), results, standings)

    def _start(self, name: str, work: Callable[[], Awaitable[object]]) -> "asyncio.Task[object]":
        """Starts a check, unless it is still running and not older than GIVE_UP."""
        now = time.monotonic()
        since, task = self._running.get(name, (now, None))
        if task is None or task.done() or now - since > GIVE_UP:
            if task is not None:
                task.cancel()
            task = asyncio.create_task(_attempt(work), name=f"check {name}")
            self._running[name] = (now, task)
        return task

    def _result(self, name: str, task: "asyncio.Task[object]", bad: Status) -> CheckResult:
        outcome = self._outcome(name, task)
        if isinstance(outcome, Exception):
            return CheckResult(bad, str(outcome) if isinstance(outcome, NotReady) else type(outcome).__name__)
        return CheckResult("ok", outcome if isinstance(outcome, str) else None)

    def _standing(self, name: str, task: "asyncio.Task[object]") -> tuple[CheckResult, list[Standing]]:
        outcome = self._outcome(name, task)
        if not isinstance(outcome, list):
            return self._result(name, task, "degraded"), []
        standings = [Standing(progress, progress.stuck()) for progress in outcome if isinstance(progress, Progress)]
        troubles = [standing.trouble for standing in standings if standing.trouble]
        waiting = sum(standing.progress.waiting for standing in standings)
        return CheckResult("degraded" if troubles else "ok", "; ".join(troubles) or f"{waiting} waiting"), standings

    def _outcome(self, name: str, task: "asyncio.Task[object]") -> object:
        """What the check returned or raised; NotReady if it has not ended."""
        if not task.done():
            return NotReady(f"no answer for {time.monotonic() - self._running[name][0]:.1f} s")
        outcome = task.result() if not task.cancelled() else NotReady("was cancelled")
        if isinstance(outcome, Exception) and not isinstance(outcome, NotReady):
            log.warning("readiness check failed", check=name, error=repr(outcome))
        return outcome


async def _attempt(work: Callable[[], Awaitable[object]]) -> object:
    """Returns the error instead of raising it, because nobody awaits a check that took too long."""
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - whatever a check raises, it is a failing check
        return error


def _worst(results: Mapping[str, CheckResult]) -> Status:
    statuses = {result.status for result in results.values()}
    return "failing" if "failing" in statuses else "degraded" if "degraded" in statuses else "ok"
