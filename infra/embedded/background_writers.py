"""Background writers for the supervisor, whose event loop must not block on a write.

A terminal may be stopped with Ctrl-S, a pipe may be full, a disk full or gone. Lines are then dropped and counted;
the set's state is retried until its newest version is written.
"""

import contextlib
import queue
import threading
from collections.abc import Callable

MAX_QUEUED_LINES = 1000
RETRY_SECONDS = 1.0
"""Seconds between two attempts to write the state."""
CLOSE_SECONDS = 1.0
"""Seconds for writing what is still queued when a writer is closed."""


class LineWriter:
    """Writes lines in order to one destination."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` is called in the writer's thread, and may raise `OSError`: the line is then dropped and counted."""
        self._write = write
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_QUEUED_LINES)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Queues a line, or drops it if the queue is full; never blocks."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Waits up to CLOSE_SECONDS until the queued lines are written."""
        with contextlib.suppress(queue.Full):
            self._lines.put_nowait(None)
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            try:
                self._write(f"({lost} lines could not be written)\n{line}" if lost else line)
            except OSError:
                self._lost += lost + 1


class StateWriter:
    """Writes the newest state, and skips older ones that are not yet written."""

    def __init__(self, write: Callable[[bytes], None], say: Callable[[str], None]) -> None:
        """`write` is called in the writer's thread, and may raise `OSError`: it is retried.

        `say` gets a line when writing begins to fail, and when it works again.
        """
        self._write, self._say = write, say
        self._state: bytes | None = None
        self._is_failing = self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)
        self._thread.start()

    def put(self, state: bytes) -> None:
        """Replaces the state to be written; never blocks."""
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def flush(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Waits until the newest state is written; False if it is not after `seconds`."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state is None, seconds)

    def close(self) -> None:
        self.flush()
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._is_failing:
                    self._changed.wait_for(lambda: self._is_closing, RETRY_SECONDS)
                else:
                    self._changed.wait_for(lambda: self._is_closing or self._state is not None)
                if self._is_closing:
                    return
                state = self._state
            if state is not None and self._try_to_write(state):
                with self._changed:
                    if self._state is state:
                        self._state = None
                        self._changed.notify_all()

    def _try_to_write(self, state: bytes) -> bool:
        """Whether the state is written; reports the first failure, and the end of failures."""
        try:
            self._write(state)
        except OSError as error:
            if not self._is_failing:
                self._say(f"the set's state can't be written ({error.strerror}): the set keeps running, and retries")
            self._is_failing = True
            return False
        if self._is_failing:
            self._say("the set's state is written again")
        self._is_failing = False
        return True
