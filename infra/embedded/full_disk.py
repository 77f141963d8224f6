"""Detects when a full disk has space again, so that nats-server can be restarted.

A nats-server stream whose write has failed once refuses every message until its server restarts, even when there is
space again (2.15). All other processes recover, or exit and are restarted.
"""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

CHECK_SECONDS = 1.0
"""Seconds between two checks of the free space."""
FULL_BYTES = 256 * 1024
"""With less than this free, the disk counts as full."""
ROOM_BYTES = 16 * 1024 * 1024
"""With more than this free, the disk has space again: a segment of PostgreSQL's write-ahead log fits."""


def free_bytes(folder: Path) -> int:
    """Free space of the folder's file system, without the part reserved for root."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


async def watch(free: Callable[[], int], has_room_again: Callable[[], None], *, every: float = CHECK_SECONDS) -> None:
    """Calls `has_room_again` each time that a full disk has space again, until cancelled. `every` is in seconds."""
    is_full = False
    while True:
        free_now = free()
        if free_now < FULL_BYTES:
            is_full = True
        elif is_full and free_now > ROOM_BYTES:
            is_full = False
            has_room_again()
        await asyncio.sleep(every)
