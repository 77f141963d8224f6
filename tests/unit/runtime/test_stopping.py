"""What is stopped has ended, also when a cancellation is lost on the way."""

import asyncio
import contextlib

from shared.stopping import stop


async def deaf(times: int) -> None:
    """A task that loses its first cancellations, as one inside Python 3.11's wait_for may."""
    for _ in range(times):
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
    await asyncio.Event().wait()


async def started(*coroutines) -> list[asyncio.Task]:
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await asyncio.sleep(0)
    return tasks


async def test_a_task_that_loses_a_cancellation_is_cancelled_again(monkeypatch):
    monkeypatch.setattr("shared.stopping.PATIENCE", 0.01)
    tasks = await started(deaf(0), deaf(1), deaf(3))
    await stop(*tasks)
    assert all(task.cancelled() for task in tasks)


async def test_what_a_task_raises_when_it_is_stopped_is_dropped():
    async def breaks() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise RuntimeError("on the way out")

    [task] = await started(breaks())
    await stop(task)
    assert task.done()


async def test_who_is_cancelled_while_stopping_leaves_no_task_behind(monkeypatch):
    """Loops are nested: the outer one's impatience must not orphan what the inner one is still stopping."""
    monkeypatch.setattr("shared.stopping.PATIENCE", 0.01)
    [inner] = await started(deaf(3))
    [outer] = await started(stop(inner))
    outer.cancel()
    await asyncio.wait([outer])
    assert outer.cancelled()
    assert inner.cancelled()
