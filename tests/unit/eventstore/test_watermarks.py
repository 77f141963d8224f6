"""Numbers that only grow, and those who wait for them, in one process."""

import asyncio

from shared.eventstore import Watermarks

FOREVER = 60.0


async def test_who_waits_is_woken_at_once() -> None:
    """By the value waited for or a greater one, and nobody else is."""
    marks = Watermarks("")
    one, two, three = (asyncio.create_task(marks.wait_for("events", value, FOREVER)) for value in (1, 2, 3))
    beyond = asyncio.create_task(marks.wait_beyond("events", 2, FOREVER))
    elsewhere = asyncio.create_task(marks.wait_for("projections", 1, FOREVER))
    await asyncio.sleep(0)

    marks.advance("events", 2)
    assert await one
    assert await two
    assert not any(task.done() for task in (three, beyond, elsewhere))

    marks.observe("events", 3)
    assert await three
    assert await beyond
    assert not elsewhere.done()
    elsewhere.cancel()


async def test_what_has_been_reached_is_not_waited_for() -> None:
    """The answer comes at once."""
    marks = Watermarks("")
    marks.observe("events", 5)
    assert await marks.wait_for("events", 5, FOREVER)
    assert await marks.wait_beyond("events", 4, FOREVER)


async def test_they_only_grow() -> None:
    """A smaller number that comes late changes nothing."""
    marks = Watermarks("")
    marks.advance("events", 5)
    marks.advance("events", 3)
    marks.observe("events", 4)
    assert marks.value("events") == 5


async def test_patience_has_an_end() -> None:
    """Who has waited too long is told so, and nothing of it stays behind."""
    marks = Watermarks("")
    assert not await marks.wait_for("events", 1, 0.0)
    assert not await marks.wait_for("events", 1, -1.0)
    assert not marks._waiters["events"]


async def test_who_gives_up_waits_no_more() -> None:
    """A cancelled wait leaves nothing behind either."""
    marks = Watermarks("")
    task = asyncio.create_task(marks.wait_for("events", 1, FOREVER))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert not marks._waiters["events"]


async def test_other_processes_are_told_what_they_may_not_know() -> None:
    """What this process advanced, once; not what it only observed."""
    marks = Watermarks("")
    marks.observe("events", 4)
    assert marks._unsent == {}
    marks.advance("events", 4)
    assert marks._unsent == {"events": 4}
    marks._unsent.clear()
    marks.advance("events", 4)
    assert marks._unsent == {}


async def test_who_can_hear_waits_without_a_query() -> None:
    """As long as renewals tell the last position; their end wakes all who left it to us to say when to query."""
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


async def test_a_store_that_went_back_wakes_who_waits() -> None:
    """What they wait for may never come: they query."""
    marks = Watermarks("")
    marks.database_reached(3)
    waiting = asyncio.create_task(marks.wait_beyond("events", 3))
    await asyncio.sleep(0)
    marks.forget()
    assert not await waiting
    assert marks.value("events") == 0


async def test_one_of_several_is_enough() -> None:
    """And none of them keeps the waiter."""
    marks = Watermarks("")
    waiting = asyncio.create_task(marks.wait_for_any({"events": 5, "retrying": 1}, FOREVER))
    await asyncio.sleep(0)
    marks.advance("events", 4)
    assert not waiting.done()
    marks.count("retrying")
    assert await waiting
    assert not marks._waiters["events"]
    assert not marks._waiters["retrying"]


async def test_signals_are_counted_whatever_the_store_does() -> None:
    """Who has seen so many hears of the next one."""
    marks = Watermarks("")
    marks.count("retrying")
    marks.forget()
    assert marks.value("retrying") == 1
    waiting = asyncio.create_task(marks.wait_beyond("retrying", 1, FOREVER))
    await asyncio.sleep(0)
    marks.count("retrying")
    assert await waiting
