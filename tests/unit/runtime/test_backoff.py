"""Trying again: for how long, how soon, and how loudly."""

import asyncio
import time

import pytest
from structlog.testing import capture_logs

from shared import backoff as module
from shared.backoff import Backoff
from tests.support.patience import PATIENCE


class Work:
    """Fails as often as it is told to, and then returns how often it was called."""

    def __init__(self, failures: int, error: Exception | None = None) -> None:
        self.failures, self.error, self.calls = failures, error or OSError("away"), 0

    async def __call__(self) -> int:
        self.calls += 1
        if self.calls <= self.failures:
            raise self.error
        return self.calls


def quick(**options: object) -> Backoff:
    """Without pauses. No try lasts longer than `longest`, however busy the machine, so none starts the pauses anew."""
    return Backoff("work", **{"on": (OSError,), "first": 0.0, "longest": 3600.0, **options})


async def test_it_is_tried_until_it_succeeds():
    assert await quick().call(Work(20)) == 21


async def test_nothing_is_spent_on_further_tries_while_the_first_one_works(monkeypatch):
    def refuse() -> None:
        raise AssertionError("no further try is prepared")

    monkeypatch.setattr(module, "_stamina", refuse)
    assert await quick().call(Work(0), timeout=5) == 1


async def test_without_time_it_is_tried_once():
    work = Work(1)
    with pytest.raises(OSError, match="away"):
        await quick().call(work, timeout=0)
    assert work.calls == 1


async def test_what_does_not_pass_is_raised_at_once():
    work = Work(1, LookupError())
    with pytest.raises(LookupError):
        await quick().call(work)
    with pytest.raises(LookupError):
        await quick(on=lambda error: isinstance(error, OSError)).pause(work.error)
    assert work.calls == 1


async def test_it_gives_up_after_its_timeout_with_the_last_error():
    began = time.monotonic()
    with pytest.raises(OSError, match="away"):
        await quick().call(Work(10**6), timeout=0.05)
    assert time.monotonic() - began >= 0.05


async def test_pauses_double_up_to_the_longest_and_differ_by_chance():
    backoff = Backoff("work", first=1, longest=6)
    for failures, most in [(0, 1), (1, 1), (2, 2), (3, 4), (4, 6), (10**6, 6)]:
        backoff.failures = failures
        pauses = {backoff.next_pause() for _ in range(50)}
        assert all(most / 2 <= pause <= most for pause in pauses)
        assert len(pauses) > 40


async def test_success_starts_the_pauses_anew():
    backoff = quick()
    for _ in range(5):
        await backoff.pause(OSError("away"))
    assert (backoff.failures, backoff.error) == (5, "away")
    backoff.reset()
    assert (backoff.failures, backoff.error) == (0, None)
    await backoff.call(Work(3))
    assert backoff.failures == 0


async def test_a_try_that_lasted_starts_the_pauses_anew():
    """A connection that broke after an hour is not the hundredth failure in a row."""
    backoff = quick()
    for _ in range(5):
        await backoff.pause(OSError("away"))
    assert backoff.failures == 5
    backoff = quick(longest=0.004)
    for _ in range(5):
        await backoff.pause(OSError("away"))
        await asyncio.sleep(0.02)  # a try that lasts longer than the longest pause
    await backoff.pause(OSError("away"))
    assert backoff.failures == 1


async def test_a_loop_goes_on_after_success_and_after_failure():
    enough = asyncio.Event()
    work = Work(3)

    async def round_() -> None:
        if await work() == 6:
            enough.set()

    loop = asyncio.create_task(quick().repeat(round_))
    await asyncio.wait_for(enough.wait(), PATIENCE)
    loop.cancel()
    await asyncio.wait([loop])
    assert loop.cancelled()


async def test_a_pause_is_cancelled_at_once():
    backoff = Backoff("work", on=(OSError,), first=60, longest=60)
    for waiting in (backoff.call(Work(1)), backoff.repeat(Work(1)), backoff.pause(OSError("away"))):
        task = asyncio.create_task(waiting)
        await asyncio.sleep(0.01)  # the task has begun its pause of 60 s
        task.cancel()
        await asyncio.wait_for(asyncio.wait([task]), PATIENCE)
        assert task.cancelled()


async def test_the_same_error_is_not_logged_at_each_try(monkeypatch):
    """Once, again after a while, and once when it is over."""
    backoff = quick()
    with capture_logs() as logs:
        await backoff.call(Work(50))
    assert [entry["event"] for entry in logs] == ["tries_again", "works_again"]
    assert (logs[0]["what"], logs[0]["error"], logs[1]["failures"]) == ("work", "away", 50)

    monkeypatch.setattr(module, "LOG_AGAIN_AFTER", 0.0)
    with capture_logs() as logs:
        await backoff.call(Work(3))
    assert len(logs) == 4


async def test_errors_that_take_turns_are_each_logged_once():
    backoff = quick()
    with capture_logs() as logs:
        for number in range(20):
            await backoff.pause(OSError(f"error {number % 2}"))
    assert [entry["error"] for entry in logs] == ["error 0", "error 1"]
