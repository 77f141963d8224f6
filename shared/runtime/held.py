"""A process that was started before what it needs: it loads meanwhile, and begins its work when it is told to."""

import os
import sys

HELD = "START_WHEN_STDIN_ENDS"


def until_released() -> None:
    """With the variable set, waits for the end of standard input: its other end is its supervisor's."""
    if os.environ.pop(HELD, ""):
        sys.stdin.buffer.read()
