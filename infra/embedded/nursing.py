"""The supervisor's side of the nursery: asks it for forks, and hears how they end."""

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

from infra.embedded.nursery import LARGEST
from infra.embedded.process import ProcessSpec, launched, open_log

NURSERY = "infra.embedded.nursery"
ACTS_AT_START = ("LD_", "MALLOC_", "PYTHON")
"""How variables begin that act on a program when it is executed: a fork is not."""
HARMLESS = {"PYTHONUNBUFFERED"}
"""Of those, what the nursery has, too."""
KILLED = -int(signal.SIGKILL)
ENDS_WITHIN = 2.0
LOADS_WITHIN, FORKS_WITHIN = 60.0, 5.0
"""Seconds after which the nursery stands still: it is stopped, say."""
TELLS_WITHIN = 1.0
"""Seconds after a fork's end in which the nursery says how it ended."""


@functools.cache
def _can_hold_processes() -> bool:
    """Whether there are process descriptors: not before Linux 5.3, nor where a container forbids them."""
    if sys.platform != "linux":
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class NoNursery(OSError):  # noqa: N818 - a state
    """It has ended, or can't be started: processes are started by themselves instead."""


@contextlib.asynccontextmanager
async def _bound(seconds: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise NoNursery(f"the process that forks services has not answered in {seconds:g} s") from None


class Forked:
    """A process that the nursery has forked, with what the supervisor needs of `asyncio.subprocess.Process`."""

    def __init__(self, pid: int, holds: int | None) -> None:
        self.pid = pid
        self._holds = holds
        # Its number may be given to another process once the nursery has seen its end; this one means none else.
        self._descriptor = os.pidfd_open(pid)
        self._loop = asyncio.get_running_loop()
        self._code: asyncio.Future[int | None] = self._loop.create_future()
        self._loop.add_reader(self._descriptor, self._has_ended)

    async def wait(self) -> int | None:
        """The exit code; None when it has ended and the nursery does not say how."""
        return await asyncio.shield(self._code)

    def send_signal(self, number: int) -> None:
        """Raises `ProcessLookupError` when it has ended."""
        if self._code.done():
            raise ProcessLookupError(self.pid)
        signal.pidfd_send_signal(self._descriptor, number)

    def release(self) -> None:
        """Ends its standard input, for which a process waits that is held."""
        if self._holds is not None:
            os.close(self._holds)
            self._holds = None

    def _has_ended(self) -> None:
        self._loop.remove_reader(self._descriptor)
        self._loop.call_later(TELLS_WITHIN, self.ended, None)

    def ended(self, code: int | None) -> None:
        if not self._code.done():
            self._code.set_result(code)
            self.release()
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)


class Nursery:
    """Started when it is first asked for, and again after it has died; then all of its forks have died, too."""

    def __init__(self, logs: Path, modules: tuple[str, ...]) -> None:
        self._logs, self._modules = logs, modules
        self._process: asyncio.subprocess.Process | None = None
        self._control: socket.socket | None = None
        self._loaded: asyncio.Future[None] | None = None
        self._numbers = count()
        self._asked: dict[int, tuple[asyncio.Future[Forked], int | None]] = {}
        self._forks: dict[int, Forked] = {}
        self._starting = asyncio.Lock()

    @staticmethod
    def takes(spec: ProcessSpec) -> bool:
        acting = {name for name in spec.environment if name.startswith(ACTS_AT_START)} - HARMLESS
        return spec.is_preloaded and spec.identity is None and not acting and _can_hold_processes()

    async def start(self) -> None:
        """Begins to load. Raises `OSError`."""
        async with self._starting:
            if self._control is not None:
                return
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.setblocking(False)
            command = launched((sys.executable, "-P", "-m", NURSERY, *self._modules), None)
            environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
            with theirs, open_log(self._logs, "nursery") as log:
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
            loop.add_reader(ours, self._hear, ours)

    async def loaded(self) -> None:
        """Waits until it can fork. Raises `OSError`, also when that takes too long."""
        await self.start()
        assert self._loaded is not None, "it has been started"
        async with _bound(LOADS_WITHIN):
            await asyncio.shield(self._loaded)

    async def fork(self, spec: ProcessSpec, arguments: Mapping[str, Any], log: IO[bytes], *, is_held: bool) -> Forked:
        """Runs `python -m MODULE …` of the process in a fork. Raises `OSError`.

        A fork that is made after that is killed: its process has been started by itself then.
        """
        given, holds = os.pipe() if is_held else (os.open(os.devnull, os.O_RDONLY), None)
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
        assert len(data) < LARGEST, "an environment fits in there"
        self._asked[number] = answer, holds
        try:
            if self._control is None:
                raise NoNursery("it has ended")
            socket.send_fds(self._control, [data], [given, log.fileno()])
        except OSError:
            del self._asked[number]
            if holds is not None:
                os.close(holds)
            raise
        finally:
            os.close(given)
        async with _bound(FORKS_WITHIN):
            return await answer

    async def stop(self) -> None:
        """Once its forks have been stopped."""
        self._lose()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), ENDS_WITHIN)
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()

    def _hear(self, control: socket.socket) -> None:
        try:
            data = control.recv(LARGEST)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._lose()
            return
        told = json.loads(data)
        if "loaded" in told:
            if self._loaded is not None and not self._loaded.done():
                self._loaded.set_result(None)
        elif "request" in told:
            self._is_made(told["request"], told["pid"])
        elif told["pid"] in self._forks:
            self._forks.pop(told["pid"]).ended(told["code"])

    def _is_made(self, request: int, pid: int) -> None:
        answer, holds = self._asked.pop(request)
        try:
            forked = self._forks[pid] = Forked(pid, holds)
        except OSError as error:  # it has ended already
            if not answer.done():
                answer.set_exception(error)
            return
        if answer.done():  # given up
            forked.send_signal(signal.SIGKILL)
        else:
            answer.set_result(forked)

    def _lose(self) -> None:
        """It has ended, or is to: so have its forks, by the kernel."""
        control, self._control = self._control, None
        if control is not None:
            asyncio.get_running_loop().remove_reader(control)
            control.close()
        loaded, self._loaded = self._loaded, None
        if loaded is not None and not loaded.done():
            loaded.set_exception(NoNursery("it has ended while it loaded: see nursery.log"))
            loaded.exception()
        asked, self._asked = self._asked, {}
        for answer, holds in asked.values():
            if holds is not None:
                os.close(holds)
            if not answer.done():
                answer.set_exception(NoNursery("it has ended"))
        forks, self._forks = self._forks, {}
        for forked in forks.values():
            forked.ended(KILLED)
