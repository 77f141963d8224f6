"""What has to be started again once a full disk has room again.

A nats-server stream that could not write once refuses every message from then on, also when there is space (2.15): its
server has to be started anew. All other parts go on by themselves, or die of it and are started again.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

LOOK_SECONDS = 1.0
FULL_BYTES = 256 * 1024
"""Less than this is no room for a write of any size."""
ROOM_BYTES = 16 * 1024 * 1024
"""As much as a segment of PostgreSQL's log: with this, writing goes on."""


def free_bytes(folder: Path) -> int:
    """What an ordinary user may still write there."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


async def watch(free: Callable[[], int], has_room_again: Callable[[], None], *, every: float = LOOK_SECONDS) -> None:
    """Calls `has_room_again` each time that a full disk has got room, until cancelled."""
    is_full = False
    while True:
        left = free()
        if left < FULL_BYTES:
            is_full = True
        elif is_full and left > ROOM_BYTES:
            is_full = False
            has_room_again()
        await asyncio.sleep(every)
