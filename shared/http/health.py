"""`/health/live` says that the process runs, `/health/ready` whether it can serve and whether its work gets on.

Two questions, since two decide by the answer:

- *Should this replica get requests?* `checks`: what it can't serve without, as it reaches it: its database, its writer,
  the broker, the file store. One that fails makes readiness answer 503, for another replica may do better.
- *Is all in order?* `followers` and `order`: whether what follows history gets on, whether something waits for an
  operator, whether clocks agree. Trouble there is told, in sentences, and readiness stays 200: it is every replica's
  trouble, and taking them all away would add to it. `emprops status` exits with 1 for either.
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
"""Seconds that an answer waits for each check; the whole must be there within two."""
GIVE_UP = 30.0
"""Seconds after which a check that does not end is begun anew: who was asked may be back on another connection only."""

Check = Callable[[], Awaitable[str | None]]
"""Passes by returning, with a remark or None; fails by raising. Only the words of `NotReady` are shown to clients."""
Status = Literal["ok", "degraded", "failing"]


class NotReady(Exception):  # noqa: N818 - a state, not an error
    """A check's own words for why it fails, fit for anyone to read."""


def agreement(whose: str, reading: Reading) -> str:
    """How far this clock is from another one; `whose`, as in "NATS's". Raises `NotReady` when that is noticeable."""
    if reading.is_noticeable:
        side = "ahead of" if reading.skew > 0 else "behind"
        raise NotReady(f"this clock is {abs(reading.skew):.1f} s {side} {whose}")
    return f"{abs(reading.skew):.3f} s from {whose}"


class CheckResult(msgspec.Struct, frozen=True):
    status: Status
    """failing: it can't serve; degraded: it serves, and something is not in order."""
    detail: str | None = None


class Standing(msgspec.Struct, frozen=True):
    """How far a follower of history has come, and what is wrong with that."""

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
    """What a process tells of itself; whatever is registered is looked at from then on."""

    def __init__(self, checks: dict[str, Check] | None = None, *, seconds: float = CHECK_TIMEOUT) -> None:
        """`seconds` that each check has; one that takes longer is named, and the others are told."""
        self.checks = {} if checks is None else checks
        self.order: dict[str, Check] = {}
        self.followers: dict[str, Follower] = {}
        self._seconds = seconds
        self._running: dict[str, tuple[float, asyncio.Task[object]]] = {}

    async def look(self) -> Health:
        """Runs all checks at once, each bounded; one that still runs from an earlier look is not begun again."""
        works: dict[str, Callable[[], Awaitable[object]]] = {
            **self.checks,
            **self.order,
            **{name: follower.progress for name, follower in self.followers.items()},
        }
        tasks = {name: self._begun(name, work) for name, work in works.items()}
        if tasks:
            await asyncio.wait(tasks.values(), timeout=self._seconds)
        results, standings = {}, list[Standing]()
        for name, task in tasks.items():
            if name in self.followers:
                results[name], found = self._standing(name, task)
                standings += found
            else:
                results[name] = self._result(name, task, "failing" if name in self.checks else "degraded")
        return Health(_worst(results), results, standings)

    def _begun(self, name: str, work: Callable[[], Awaitable[object]]) -> "asyncio.Task[object]":
        now = time.monotonic()
        since, task = self._running.get(name, (now, None))
        if task is None or task.done() or now - since > GIVE_UP:
            if task is not None:
                task.cancel()
            task = asyncio.create_task(_attempt(work), name=f"check {name}")
            self._running[name] = (now, task)
        return task

    def _result(self, name: str, task: "asyncio.Task[object]", bad: Status) -> CheckResult:
        found = self._answer(name, task)
        if isinstance(found, Exception):
            return CheckResult(bad, str(found) if isinstance(found, NotReady) else type(found).__name__)
        return CheckResult("ok", found if isinstance(found, str) else None)

    def _standing(self, name: str, task: "asyncio.Task[object]") -> tuple[CheckResult, list[Standing]]:
        found = self._answer(name, task)
        if not isinstance(found, list):
            return self._result(name, task, "degraded"), []
        standings = [Standing(each, each.stuck()) for each in found if isinstance(each, Progress)]
        troubles = [each.trouble for each in standings if each.trouble]
        waiting = sum(each.progress.waiting for each in standings)
        return CheckResult("degraded" if troubles else "ok", "; ".join(troubles) or f"{waiting} waiting"), standings

    def _answer(self, name: str, task: "asyncio.Task[object]") -> object:
        """What the check gave or raised; `NotReady` when it has not ended yet."""
        if not task.done():
            return NotReady(f"no answer for {time.monotonic() - self._running[name][0]:.1f} s")
        found = task.result() if not task.cancelled() else NotReady("was broken off")
        if isinstance(found, Exception) and not isinstance(found, NotReady):
            log.warning("readiness check failed", check=name, error=repr(found))
        return found


async def _attempt(work: Callable[[], Awaitable[object]]) -> object:
    """What it returns or raises: the task itself never fails, so that one nobody waits for any more is no error."""
    try:
        return await work()
    except Exception as error:  # noqa: BLE001 - whatever a check raises, it is a failing check
        return error


def _worst(results: Mapping[str, CheckResult]) -> Status:
    found = {result.status for result in results.values()}
    return "failing" if "failing" in found else "degraded" if "degraded" in found else "ok"
