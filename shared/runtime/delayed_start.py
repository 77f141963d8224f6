"""Delayed start: a supervisor starts a process before its dependencies are up, and lets it begin when they are.

The process loads its code meanwhile, which takes longer than anything else it does at start.
"""

import os
import sys

START_WHEN_STDIN_ENDS = "START_WHEN_STDIN_ENDS"
"""The environment variable that asks for it, with any value but the empty one."""


def wait_for_start() -> None:
    """Waits for the end of standard input if START_WHEN_STDIN_ENDS is set, and unsets it for child processes."""
    if os.environ.pop(START_WHEN_STDIN_ENDS, ""):
        sys.stdin.buffer.read()
