"""A supervised process, and how it is launched: as a fork of the fork server, or by executing its program."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from infra.embedded.fork_client import ForkClient, Forked
from infra.embedded.process import ProcessSpec, launch_command, open_log, popen_arguments
from infra.embedded.set_file import ProcessInfo
from shared.runtime.delayed_start import START_WHEN_STDIN_ENDS


@dataclass
class Child:
    spec: ProcessSpec
    info: ProcessInfo
    process: asyncio.subprocess.Process | Forked | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the process serves; cleared when it dies."""
    has_been_ready: bool = False
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when it has died GIVE_UP times and has never been ready."""
    ending: str = ""
    """How it last ended, for messages."""
    keeper: asyncio.Task[None] | None = None
    """Starts the process, and restarts it when it dies."""
    turn: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the earlier stages are ready."""

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal, if the process runs."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def release(self) -> None:
        """Ends the standard input of a held process, which then continues."""
        if isinstance(self.process, Forked):
            self.process.release()
        elif self.process is not None and self.process.stdin is not None:
            self.process.stdin.close()


class Launcher:
    def __init__(self, logs: Path, fork_client: ForkClient | None, say: Callable[[str], None]) -> None:
        """Processes that `fork_client` can fork are forked; if that fails, they are executed, and `say` gets a line."""
        self._logs, self._fork_client, self._say = logs, fork_client, say

    async def launch(self, child: Child) -> asyncio.subprocess.Process | Forked:
        """Starts the process; call it in the event loop's thread. Raises `OSError`."""
        spec, fork_client = child.spec, self._fork_client
        if fork_client is not None and fork_client.can_fork(spec):
            try:
                await fork_client.wait_until_loaded()
                with self._open_log(spec.name) as log:
                    arguments, is_held = self._arguments(child)
                    return await fork_client.fork(spec, arguments, log, is_held=is_held)
            except OSError as error:
                self._say(f"{spec.name} is started without a fork, and takes more memory: {error}")
        with self._open_log(spec.name) as log:
            arguments, is_held = self._arguments(child)
            stdin = {"stdin": asyncio.subprocess.PIPE} if is_held else {}
            # In the loop's thread: the kernel ends the child when the thread that forked it ends.
            return await asyncio.create_subprocess_exec(*launch_command(spec), stdout=log, **{**arguments, **stdin})

    async def stop(self) -> None:
        """Stops the fork server; call it after all processes have ended."""
        if self._fork_client is not None:
            await self._fork_client.stop()

    @staticmethod
    def _arguments(child: Child) -> tuple[dict[str, Any], bool]:
        """Its keyword arguments, and whether it is held: it waits until its standard input ends."""
        arguments, is_held = popen_arguments(child.spec), child.spec.is_held and not child.turn.is_set()
        return {**arguments, "env": {**arguments["env"], **({START_WHEN_STDIN_ENDS: "1"} if is_held else {})}}, is_held

    def _open_log(self, name: str) -> IO[bytes]:
        """The process's log; /dev/null if it can't be opened, since the process can run without."""
        try:
            return open_log(self._logs, name)
        except OSError as error:
            self._say(f"{name}.log can't be written ({error.strerror}); {name} is started without one")
            return Path(os.devnull).open("ab")
