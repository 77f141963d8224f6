"""A window bounds what is in hand, in number and in bytes."""

import asyncio

from shared.handling.window import MAX_STALLED, Window


def test_bytes_are_bounded_as_the_number_is() -> None:
    window = Window(10, 1000)
    window.take(600)
    assert (window.room, window.room_bytes) == (9, 400)
    window.take(400)
    assert (window.room, window.room_bytes) == (0, 0)
    window.give_back(600)
    assert (window.room, window.room_bytes) == (9, 600)


def test_what_waits_for_a_retry_takes_bytes_but_up_to_a_bound_no_number() -> None:
    window = Window(2, 1000, stalled=lambda: window.held)
    for _ in range(2 * MAX_STALLED - 1):
        window.take(1)
        assert window.room == 2
    window.take(1)
    assert window.room == 0, "a bound of the number of these, too"
    window = Window(2, 1000, stalled=lambda: window.held)
    window.take(1000)
    assert window.room == 0


async def test_room_in_bytes_is_waited_for() -> None:
    window = Window(10, 1000)
    window.take(1500)
    waiting = asyncio.create_task(window.wait_for_room())
    await asyncio.sleep(0)
    window.take(1)
    window.give_back(1)
    await asyncio.sleep(0)
    assert not waiting.done()
    window.give_back(1500)
    await waiting
