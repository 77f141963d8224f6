"""Watermarks in one process: numbers that grow, and those who wait for them."""

import asyncio

from shared.eventstore import Watermarks

FOREVER = 60.0


async def test_waiters_are_woken_at_once() -> None:
    """By their value or a greater one; others are not woken."""
    marks = Watermarks("")
    first, second, third = (asyncio.create_task(marks.wait_for("events", value, FOREVER)) for value in (1, 2, 3))
    beyond = asyncio.create_task(marks.wait_beyond("events", 2, FOREVER))
    elsewhere = asyncio.create_task(marks.wait_for("projections", 1, FOREVER))
    await asyncio.sleep(0)

    marks.advance("events", 2)
    assert await first
    assert await second
    assert not any(task.done() for task in (third, beyond, elsewhere))

    marks.observe("events", 3)
    assert await third
    assert await beyond
    assert not elsewhere.done()
    elsewhere.cancel()


async def test_a_reached_value_needs_no_wait() -> None:
    marks = Watermarks("")
    marks.observe("events", 5)
    assert await marks.wait_for("events", 5, FOREVER)
    assert await marks.wait_beyond("events", 4, FOREVER)


async def test_watermarks_only_grow() -> None:
    """A smaller value that arrives late is ignored."""
    marks = Watermarks("")
    marks.advance("events", 5)
    marks.advance("events", 3)
    marks.observe("events", 4)
    assert marks.value("events") == 5


async def test_a_wait_ends_at_its_timeout() -> None:
    """It returns False and leaves no waiter behind."""
    marks = Watermarks("")
    assert not await marks.wait_for("events", 1, 0.0)
    assert not await marks.wait_for("events", 1, -1.0)
    assert not marks._waiters["events"]


async def test_a_cancelled_wait_leaves_no_waiter_behind() -> None:
    marks = Watermarks("")
    task = asyncio.create_task(marks.wait_for("events", 1, FOREVER))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not marks._waiters["events"]


async def test_advanced_values_are_sent_once() -> None:
    """Observed values are not sent: other processes read them from the database, too."""
    marks = Watermarks("")
    marks.observe("events", 4)
    assert marks._unsent == {}
    marks.advance("events", 4)
    assert marks._unsent == {"events": 4}
    marks._unsent.clear()
    marks.advance("events", 4)
    assert marks._unsent == {}


async def test_waiters_without_a_timeout_rely_on_renewals() -> None:
    """Each renewal has the last position. When renewals end, these waiters are woken to query."""
    marks = Watermarks("")
    marks.database_reached(3)
    assert await marks.wait_for("events", 3, FOREVER)
    patient = asyncio.create_task(marks.wait_beyond("events", 3))
    own_bound = asyncio.create_task(marks.wait_beyond("events", 3, FOREVER))
    await asyncio.sleep(0)
    marks.notifications_lost()
    assert not await patient
    assert not own_bound.done()
    own_bound.cancel()


async def test_a_restore_wakes_waiters_without_a_timeout() -> None:
    """Their value may never come, so they query."""
    marks = Watermarks("")
    marks.database_reached(3)
    waiting = asyncio.create_task(marks.wait_beyond("events", 3))
    await asyncio.sleep(0)
    marks.forget()
    assert not await waiting
    assert marks.value("events") == 0


async def test_wait_for_any_needs_one_value() -> None:
    """No waiter is left behind on the others."""
    marks = Watermarks("")
    waiting = asyncio.create_task(marks.wait_for_any({"events": 5, "retrying": 1}, FOREVER))
    await asyncio.sleep(0)
    marks.advance("events", 4)
    assert not waiting.done()
    marks.count("retrying")
    assert await waiting
    assert not marks._waiters["events"]
    assert not marks._waiters["retrying"]


async def test_counts_survive_a_restore() -> None:
    marks = Watermarks("")
    marks.count("retrying")
    marks.forget()
    assert marks.value("retrying") == 1
    waiting = asyncio.create_task(marks.wait_beyond("retrying", 1, FOREVER))
    await asyncio.sleep(0)
    marks.count("retrying")
    assert await waiting
