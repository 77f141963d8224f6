"""Writes for the supervisor, on threads of their own: its loop keeps processes alive and never waits for a write.

A terminal may be stopped with Ctrl-S, a pipe be full, a disk full or gone. Lines for people are then lost, and counted;
the state of the set, of which only the newest counts, is written again until it is there.
"""

import contextlib
import queue
import threading
from collections.abc import Callable

LINES = 1000
"""How many may wait."""
RETRY_SECONDS = 1.0
CLOSE_SECONDS = 1.0


class LineScribe:
    """Lines, one after the other, to one place."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """`write` is called on the thread, and may raise `OSError`."""
        self._write = write
        self._lines: queue.Queue[str | None] = queue.Queue(LINES)
        self._lost = 0
        self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
        self._thread.start()

    def put(self, line: str) -> None:
        """Returns at once."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Gives what waits a moment to be written."""
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


class StateScribe:
    """The newest of some states, to one file."""

    def __init__(self, write: Callable[[bytes], None], say: Callable[[str], None]) -> None:
        """`write` is called on the thread, and may raise `OSError`: `say` is told, once, and again when it works."""
        self._write, self._say = write, say
        self._state: bytes | None = None
        self._is_failing = self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="state", daemon=True)
        self._thread.start()

    def put(self, state: bytes) -> None:
        """Returns at once."""
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def settle(self, seconds: float = CLOSE_SECONDS) -> bool:
        """Waits until the newest state is written; False after so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: self._state is None, seconds)

    def close(self) -> None:
        self.settle()
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
            if state is not None and self._is_written(state):
                with self._changed:
                    if self._state is state:
                        self._state = None
                        self._changed.notify_all()

    def _is_written(self, state: bytes) -> bool:
        try:
            self._write(state)
        except OSError as error:
            if not self._is_failing:
                self._say(
                    f"the set's state can't be written ({error.strerror}): the set goes on, and it is tried again"
                )
            self._is_failing = True
            return False
        if self._is_failing:
            self._say("the set's state is written again")
        self._is_failing = False
        return True
