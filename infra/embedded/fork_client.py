"""The supervisor's client of the fork server (fork_server.py): requests forks, and receives their exit codes."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from itertools import count
from pathlib import Path
from typing import IO, Any

from infra.embedded.fork_server import MAX_REQUEST
from infra.embedded.process import ProcessSpec, launch_arguments, open_log

FORK_SERVER = "infra.embedded.fork_server"
READ_AT_EXEC = ("LD_", "MALLOC_", "PYTHON")
"""Prefixes of variables that are read when a program is executed: they would have no effect on a fork."""
SET_IN_FORK_SERVER = {"PYTHONUNBUFFERED"}
"""Those of them that the fork server is started with: forks may have them."""
KILLED = -int(signal.SIGKILL)
ENDS_WITHIN = 2.0
"""Seconds that the fork server has to exit before it is killed."""
LOADS_WITHIN, FORKS_WITHIN = 60.0, 5.0
"""Seconds that the fork server has to load its modules, and to answer a request, before it counts as not available."""
REPORTS_WITHIN = 1.0
"""Seconds after a fork's end that the fork server has to report its exit code."""


@functools.cache
def _has_pidfds() -> bool:
    """Whether pidfd_open works: not before Linux 5.3, nor where a container forbids it."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class ForkServerUnavailable(OSError):  # noqa: N818 - a state
    """It has ended, or does not answer: processes are started without it."""


@contextlib.asynccontextmanager
async def _bound(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise ForkServerUnavailable(f"the fork server has not answered in {seconds:g} s") from None


class Forked:
    """A forked process, with the part of `asyncio.subprocess.Process` that the supervisor uses.

    `stdin_writer` is the write end of its standard input, if the process is held.
    """

    def __init__(self, pid: int, stdin_writer: int | None) -> None:
        self.pid = pid
        self._stdin_writer = stdin_writer
        # A pidfd, since the kernel may reuse the pid once the fork server has reaped the process.
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._code: asyncio.Future[int | None] = self._loop.create_future()
        self._loop.add_reader(self._descriptor, self._has_ended)

    async def wait(self) -> int | None:
        """The exit code; None if the fork server has not reported it within REPORTS_WITHIN."""
        return await asyncio.shield(self._code)

    def send_signal(self, number: int) -> None:
        """Raises `ProcessLookupError` if the process has ended."""
        if self._code.done():
            raise ProcessLookupError(self.pid)
        signal.pidfd_send_signal(self._descriptor, number)

    def release(self) -> None:
        """Closes its standard input: a held process continues then."""
        if self._stdin_writer is not None:
            os.close(self._stdin_writer)
            self._stdin_writer = None

    def _has_ended(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self._loop.call_later(REPORTS_WITHIN, self.note_end, None)

    def note_end(self, code: int | None) -> None:
        """Records the exit code; only the first call has an effect."""
        if not self._code.done():
            self._code.set_result(code)
            self.release()
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


class ForkClient:
    """The fork server, started on first use, and again after it has died; its forks die with it."""

    def __init__(self, logs: Path, modules: tuple[str, ...]) -> None:
        self._logs, self._modules = logs, modules
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._numbers = count()
        self._pending: dict[int, tuple[asyncio.Future[Forked], int | None]] = {}
        self._forks: dict[int, Forked] = {}
        self._starting = asyncio.Lock()

    @staticmethod
    def can_fork(spec: ProcessSpec) -> bool:
        """Whether the process can run as a fork: the same as one that is executed."""
        without_effect = {name for name in spec.environment if name.startswith(READ_AT_EXEC)} - SET_IN_FORK_SERVER
        return spec.is_preloaded and spec.identity is None and not without_effect and _has_pidfds()

    async def start(self) -> None:
        """Starts it, without waiting until it has loaded its modules. Raises `OSError`."""
        async with self._starting:
            if self._control is not None:
                return
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            command = launch_arguments((sys.executable, "-P", "-m", FORK_SERVER, *self._modules), None)
            environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
            with theirs, open_log(self._logs, "fork_server") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=theirs.fileno(),
                    stdout=log,
                    stderr=log,
                    env={**environment, "PYTHONUNBUFFERED": "1"},
                    start_new_session=True,
                )
            loop = asyncio.get_running_loop()
            self._control, self._loaded = ours, loop.create_future()
            loop.add_reader(ours, self._receive, ours)

    async def wait_until_loaded(self) -> None:
        """Starts it if needed, and waits until it can fork. Raises `OSError`, also after LOADS_WITHIN."""
        await self.start()
        assert self._loaded is not None, "it has been started"
        async with _bound(LOADS_WITHIN):
            await asyncio.shield(self._loaded)

    async def fork(self, spec: ProcessSpec, arguments: Mapping[str, Any], log: IO[bytes], *, is_held: bool) -> Forked:
        """Runs the process's `python -m MODULE …` in a fork. Raises `OSError`, also after FORKS_WITHIN.

        A fork that is made after FORKS_WITHIN is killed: by then the process has been started without the fork server.
        """
        stdin, stdin_writer = os.pipe() if is_held else (os.open(os.devnull, os.O_RDONLY), None)
        number = next(self._numbers)
        answer: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        request = {
            "request": number,
            "name": spec.name,
            "arguments": spec.command[spec.command.index("-m") + 1 :],
            "environment": arguments["env"],
            "cwd": str(spec.cwd),
            "death_signal": int(spec.death_signal),
        }
        data = json.dumps(request).encode()
        assert len(data) < MAX_REQUEST, "the environment fits into a request"
        self._pending[number] = answer, stdin_writer
        try:
            if self._control is None:
                raise ForkServerUnavailable("the fork server has ended")
            socket.send_fds(self._control, [data], [stdin, log.fileno()])
        except OSError:
            del self._pending[number]
            if stdin_writer is not None:
                os.close(stdin_writer)
            raise
        finally:
            os.close(stdin)
        async with _bound(FORKS_WITHIN):
            return await answer

    async def stop(self) -> None:
        """Stops it, killing it after ENDS_WITHIN. Its forks must have been stopped before."""
        self._lose()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), ENDS_WITHIN)
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    def _receive(self, control: socket.socket) -> None:
        try:
            data = control.recv(MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        message = json.loads(data)
        if "loaded" in message:
            if self._loaded is not None and not self._loaded.done():
                self._loaded.set_result(None)
        elif "request" in message:
            self._add_fork(message["request"], message["pid"])
        elif message["pid"] in self._forks:
            self._forks.pop(message["pid"]).note_end(message["code"])

    def _add_fork(self, request: int, pid: int) -> None:
        answer, stdin_writer = self._pending.pop(request)
        try:
            forked = self._forks[pid] = Forked(pid, stdin_writer)
        except OSError as error:  # it has ended already
            if not answer.done():
                answer.set_exception(error)
            return
        if answer.done():  # `fork` has timed out
            forked.send_signal(signal.SIGKILL)
        else:
            answer.set_result(forked)

    def _lose(self) -> None:
        """Called when it has ended or is stopped: the kernel ends its forks, and open requests fail."""
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()
        loaded, self._loaded = self._loaded, None
        if loaded is not None and not loaded.done():
            loaded.set_exception(ForkServerUnavailable("the fork server ended while loading: see fork_server.log"))
            loaded.exception()
        pending, self._pending = self._pending, {}
        for answer, stdin_writer in pending.values():
            if stdin_writer is not None:
                os.close(stdin_writer)
            if not answer.done():
                answer.set_exception(ForkServerUnavailable("the fork server has ended"))
        forks, self._forks = self._forks, {}
        for forked in forks.values():
            forked.note_end(KILLED)
