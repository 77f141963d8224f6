"""What is stopped has ended, also when a cancellation is lost on the way."""

import asyncio
import contextlib

import pytest
from structlog.testing import capture_logs

from shared.stopping import EndedError, Group, run_together, run_until, stop, stoppable
from tests.support.patience import PATIENCE


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


async def test_a_task_that_never_obeys_is_named_in_the_log(monkeypatch):
    monkeypatch.setattr("shared.stopping.PATIENCE", 0.01)
    [task] = await started(deaf(5))
    with capture_logs() as logs:
        await stop(task)
    [entry] = logs
    assert entry["event"] == "tasks_do_not_stop"
    assert "deaf" in entry["tasks"][0]


async def test_stoppable_work_gives_its_result_or_its_error():
    async def answer() -> int:
        return 42

    async def broken() -> None:
        raise LookupError

    assert await stoppable(answer()) == 42
    with pytest.raises(LookupError):
        await stoppable(broken())


async def test_stoppable_work_has_ended_when_who_awaits_it_has(monkeypatch):
    """However often that one is cancelled, and however many cancellations are lost."""
    monkeypatch.setattr("shared.stopping.PATIENCE", 0.01)
    ended = asyncio.Event()

    async def stubborn() -> None:
        try:
            await deaf(3)
        finally:
            ended.set()

    [task] = await started(stoppable(stubborn()))
    await asyncio.sleep(0)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0)
    await asyncio.wait([task])
    assert task.cancelled()
    assert ended.is_set()


async def test_work_ends_when_the_event_comes():
    """What the work raises by itself comes through."""
    event = asyncio.Event()
    asyncio.get_running_loop().call_soon(event.set)
    await asyncio.wait_for(run_until(event, deaf(0)), PATIENCE)

    async def broken() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await run_until(asyncio.Event(), broken())


async def test_unless_leaves_no_task_behind(monkeypatch):
    """Cancelled while its work still loses cancellations."""
    monkeypatch.setattr("shared.stopping.PATIENCE", 0.01)
    before = asyncio.all_tasks()
    [task] = await started(run_until(asyncio.Event(), deaf(3)))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert asyncio.all_tasks() == before


class TestGroup:
    """A task group whose tasks may lose a cancellation."""

    @pytest.fixture(autouse=True)
    def quick(self, monkeypatch):
        monkeypatch.setattr("shared.stopping.PATIENCE", 0.01)

    async def test_ends_when_all_of_its_tasks_have(self):
        """And leaves them alone until then, however long they take."""
        async with Group() as tasks:
            task = tasks.create_task(asyncio.sleep(0.1, "done"))
        assert task.result() == "done"

    @pytest.mark.parametrize("is_waiting", [True, False])
    async def test_cancelled(self, is_waiting):
        """Within its block, and while it waits for its tasks."""
        tasks = []

        async def work() -> None:
            async with Group() as group:
                tasks.extend(group.create_task(deaf(times)) for times in (3, 0, 1))
                if not is_waiting:
                    await asyncio.Event().wait()

        [task] = await started(work())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.cancelled()
        assert all(task.cancelled() for task in tasks)

    async def test_one_that_fails_ends_the_others(self):
        tasks = []

        async def fail() -> None:
            await asyncio.sleep(0)
            raise ValueError("broken")

        async def work() -> None:
            async with Group() as group:
                tasks.append(group.create_task(deaf(2)))
                group.create_task(fail())

        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ExceptionGroup) as raised:
                await work()
        assert [str(exception) for exception in raised.value.exceptions] == ["broken"]
        assert tasks[0].cancelled()

    @pytest.mark.parametrize("is_waiting", [True, False])
    @pytest.mark.parametrize("others", [0, 2])
    async def test_one_that_is_cancelled_alone_ends_the_others(self, others, is_waiting):
        """Within the group's block, and while it waits for its tasks; also the last task."""
        tasks = []

        async def work() -> None:
            async with Group() as group:
                tasks.extend(group.create_task(deaf(1)) for _ in range(others))
                group.create_task(is_cancelled())
                if not is_waiting:
                    await asyncio.Event().wait()

        async with asyncio.timeout(PATIENCE):
            with pytest.raises(ExceptionGroup) as raised:
                await work()
        [error] = raised.value.exceptions
        assert isinstance(error, EndedError)
        assert "is_cancelled was cancelled" in str(error)
        assert all(task.cancelled() for task in tasks)

    async def test_tasks_that_are_cancelled_together_with_the_group_are_no_fault(self):
        """As a loop does that is closed: it cancels all tasks, in any order."""
        tasks = []

        async def work() -> None:
            async with Group() as group:
                tasks.append(group.create_task(deaf(0)))

        [task] = await started(work())
        await asyncio.sleep(0)
        tasks[0].cancel()
        task.cancel()
        await asyncio.wait([task], timeout=PATIENCE)
        assert task.cancelled()


async def returns() -> None:
    pass


async def raises() -> None:
    raise ZeroDivisionError


async def is_cancelled() -> None:
    raise asyncio.CancelledError


@pytest.mark.parametrize(
    ("ends", "error"), [(returns, EndedError), (raises, ZeroDivisionError), (is_cancelled, EndedError)]
)
async def test_loops_that_run_together_end_together(ends, error):
    """However one comes to its end: a task group would miss one that returned, or was cancelled by itself."""
    others = []

    async def stays() -> None:
        others.append(asyncio.current_task())
        await asyncio.Event().wait()

    with pytest.raises(error):
        await run_together(stays(), ends(), stays())
    assert len(others) == 2
    assert all(other.cancelled() for other in others)


async def test_loops_that_run_together_are_cancelled_together():
    [task] = await started(run_together(deaf(0), deaf(0)))
    await stop(task)
    assert task.cancelled()
