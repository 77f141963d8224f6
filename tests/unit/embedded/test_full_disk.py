"""The callback is called once the full disk has space again, and not before."""

import asyncio

from infra.embedded.full_disk import FULL_BYTES, ROOM_BYTES, watch
from shared.stopping import stop

ROOM, LITTLE, NONE = ROOM_BYTES + 1, FULL_BYTES + 1, 0


async def restarts_after(*looks: int) -> int:
    """How often it was called, when the checks found so much free space."""
    left, calls, seen_all = list(looks), 0, asyncio.Event()

    def free() -> int:
        if len(left) == 1:
            seen_all.set()
        return left.pop(0) if len(left) > 1 else left[0]

    def called() -> None:
        nonlocal calls
        calls += 1

    task = asyncio.create_task(watch(free, called, every=0))
    await seen_all.wait()
    await asyncio.sleep(0)
    await stop(task)
    return calls


async def test_it_is_called_once_for_each_time_that_the_disk_was_full() -> None:
    assert await restarts_after(ROOM, ROOM) == 0
    assert await restarts_after(ROOM, LITTLE, ROOM) == 0
    assert await restarts_after(ROOM, NONE, NONE) == 0
    assert await restarts_after(NONE, LITTLE, NONE, LITTLE) == 0
    assert await restarts_after(ROOM, NONE, LITTLE, ROOM, ROOM) == 1
    assert await restarts_after(NONE, ROOM, NONE, ROOM) == 2
