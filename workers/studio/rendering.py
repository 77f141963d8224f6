"""What runs in a rendering process. It imports little beside the renderers: there is one process per step at a time."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from typing import Any

from workers.kit.files import File
from workers.studio.renderers import RENDERERS

PRELOADED = [__name__, *(renderer.module for renderer in RENDERERS.values())]
"""The modules that all rendering processes share the memory of."""


def render(service: str, generation_hash: str, payload: dict[str, Any], inputs: dict[str, bytes]) -> File | str:
    return RENDERERS[service].render(generation_hash, payload, inputs)


def settle() -> None:
    """Prepares a new child: it ignores signals, which the worker handles, and ends when the worker does."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in a child"

    def leave_with_parent() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()
