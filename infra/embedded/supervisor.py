"""Runs processes as children: starts them stage by stage, restarts what dies, stops them in reverse order.

What is run is a value (`Stage`s of `ProcessSpec`s), so it serves the whole set and a test's three tiny programs alike.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from infra.embedded.errors import SetError
from infra.embedded.process import ProcessSpec, last_lines, launch_command, open_log, popen_arguments
from infra.embedded.process_start import start_of_pid
from infra.embedded.set_file import ProcessInfo, State
from shared.backoff import Backoff

PROBE_SECONDS = 0.1

T = TypeVar("T")


class StartFailedError(SetError):
    """A process could not be brought up."""


@dataclass(frozen=True)
class Stage:
    """Processes that start together, once all of the stage before are ready."""

    processes: tuple[ProcessSpec, ...]
    then: Callable[[], None] = lambda: None
    """Runs in a thread when they are ready, before the next stage: databases, buckets."""


def _sweep(group: int) -> None:
    """End what a child has left of its process group, such as a worker's rendering processes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _passing_over(write: Callable[[T], None]) -> Callable[[T], None]:
    def tried(what: T) -> None:
        with contextlib.suppress(OSError):
            write(what)

    return tried


@dataclass
class Child:
    spec: ProcessSpec
    info: ProcessInfo
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while the process serves; cleared when it dies."""
    has_been_ready: bool = False
    failed: asyncio.Event = field(default_factory=asyncio.Event)
    """It died `GIVE_UP` times without ever having been ready."""
    ending: str = ""
    """How it last ended, in words."""
    keeper: asyncio.Task[None] | None = None


GIVE_UP = 5


class Supervisor:
    def __init__(
        self,
        logs: Path,
        stages: list[Stage],
        *,
        say: Callable[[str], None],
        changed: Callable[[list[ProcessInfo]], None] = lambda _: None,
        first_pause: float = 0.2,
        longest_pause: float = 15.0,
        start_seconds: float = 120.0,
    ) -> None:
        """`say` gets a line for people about each event; `changed` the state of all processes after each change.

        Neither may block: the processes are kept alive by who calls them. An `OSError` that they raise is passed over.
        Pauses between restarts of one process grow from `first_pause` to `longest_pause` seconds.
        """
        self._logs, self._stages = logs, stages
        self._say, self._changed = _passing_over(say), _passing_over(changed)
        self._first_pause, self._longest_pause = first_pause, longest_pause
        self._start_seconds = start_seconds
        self._stopping = asyncio.Event()
        # A server that hangs holds a thread of each probe: none of them may be one that something else waits for.
        self._threads = ThreadPoolExecutor(2 * sum(len(stage.processes) for stage in stages))
        specs = [spec for stage in stages for spec in stage.processes]
        assert len({spec.name for spec in specs}) == len(specs), "every process needs a name of its own"
        self.children = {spec.name: Child(spec, self._describe(spec)) for spec in specs}

    async def start(self) -> None:
        """Returns when every process is ready. Raises `StartFailedError`; what was started still wants `stop`."""
        for stage in self._stages:
            children = [self.children[spec.name] for spec in stage.processes]
            for child in children:
                child.keeper = asyncio.create_task(self._keep(child), name=f"keep {child.spec.name}")
            await asyncio.gather(*(self._first_ready(child) for child in children))
            await self._in_thread(stage.then)

    async def stop(self) -> None:
        """Stop everything, last stage first; each process has its grace before it is killed."""
        self._stopping.set()
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._stop_child(self.children[spec.name]) for spec in stage.processes))
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _keep(self, child: Child) -> None:
        """The life of one process and of its successors."""
        backoff = Backoff(child.spec.name, first=self._first_pause, longest=self._longest_pause, quiet=True)
        while not self._stopping.is_set():
            try:
                ending = await self._run_once(child)
            except Exception as error:  # noqa: BLE001 - whatever hinders a start is told, and tried again
                ending = f"could not be started: {error}"
            child.ending = ending
            if self._stopping.is_set():
                break
            pause = backoff.pause_after(ChildProcessError(ending))
            child.info.restarts += 1
            self._note(child, "waiting", pid=None)
            self._say(f"{child.spec.name} {ending}; restart {child.info.restarts} in {pause:.2g} s")
            if not child.has_been_ready and child.info.restarts >= GIVE_UP:
                child.failed.set()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
        self._note(child, "stopped", pid=None)

    async def _run_once(self, child: Child) -> str:
        """Start the process and wait for its end, which is returned in words."""
        spec = child.spec
        await self._in_thread(spec.prepare)
        if self._stopping.is_set():
            return "was not started"
        with self._open_log(spec.name) as log:
            # On the loop's thread: the kernel ends the child when the thread that forked it ends.
            process = await asyncio.create_subprocess_exec(*launch_command(spec), stdout=log, **popen_arguments(spec))
        child.process = process
        self._note(child, "starting", pid=process.pid)
        if self._stopping.is_set():  # asked while it was being started
            self._signal(child, spec.stop_signal)
        prober = asyncio.create_task(self._probe(child), name=f"probe {spec.name}")
        try:
            code = await process.wait()
        finally:
            prober.cancel()
            child.process = None
            child.ready.clear()
            _sweep(process.pid)
            with contextlib.suppress(OSError):  # a file that could not be removed is in nobody's way
                spec.cleanup()
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def _open_log(self, name: str) -> IO[bytes]:
        """The process's log, or nowhere: that it can't be written to is no reason not to run."""
        try:
            return open_log(self._logs, name)
        except OSError as error:
            self._say(f"{name}.log can't be written ({error.strerror}); {name} is started without one")
            return Path(os.devnull).open("ab")

    async def _probe(self, child: Child) -> None:
        began = time.monotonic()
        while True:
            try:
                await self._in_thread(child.spec.ready)
            except Exception:  # noqa: BLE001 - any trouble means: not ready
                await asyncio.sleep(PROBE_SECONDS)
            else:
                break
        child.has_been_ready = True
        child.ready.set()
        self._note(child, "ready", pid=child.info.pid)
        again = " again" if child.info.restarts else ""
        self._say(f"{child.spec.name} is ready{again} (pid {child.info.pid}, {time.monotonic() - began:.1f} s)")

    async def _first_ready(self, child: Child) -> None:
        waits = {
            asyncio.create_task(child.ready.wait()),
            failure := asyncio.create_task(child.failed.wait()),
            stop := asyncio.create_task(self._stopping.wait()),
        }
        done, pending = await asyncio.wait(waits, timeout=self._start_seconds, return_when=asyncio.FIRST_COMPLETED)
        for each in pending:
            each.cancel()
        if child.has_been_ready:
            return
        name, log = child.spec.name, self._logs / f"{child.spec.name}.log"
        if stop in done:
            raise StartFailedError(f"stopped while {name} was starting")
        what = f"can't be started: it {child.ending}" if failure in done else f"took over {self._start_seconds:g} s"
        raise StartFailedError(f"{name} {what}. The end of {log}:\n{last_lines(self._logs, name)}")

    def restart(self, name: str, why: str) -> None:
        """End a process in an orderly way; its keeper starts the next one."""
        self._say(f"{name} is started again: {why}")
        child = self.children[name]
        self._signal(child, child.spec.stop_signal)

    async def _stop_child(self, child: Child) -> None:
        if child.keeper is None:
            return
        self._signal(child, child.spec.stop_signal)
        done, _ = await asyncio.wait({child.keeper}, timeout=child.spec.grace_seconds)
        if not done:
            if child.process is not None:
                self._say(f"{child.spec.name} did not stop in {child.spec.grace_seconds:g} s and is killed")
                self._signal(child, signal.SIGKILL)
            await child.keeper

    def _signal(self, child: Child, number: signal.Signals) -> None:
        if child.process is not None:
            with contextlib.suppress(ProcessLookupError):
                child.process.send_signal(number)

    def _describe(self, spec: ProcessSpec) -> ProcessInfo:
        log = str(self._logs / f"{spec.name}.log")
        return ProcessInfo(
            name=spec.name,
            state="stopped",
            program=spec.command[0],
            url=spec.url,
            tells_health=spec.tells_health,
            log=log,
        )

    def _note(self, child: Child, state: State, *, pid: int | None) -> None:
        info = child.info
        if pid != info.pid:
            info.start = start_of_pid(pid) if pid is not None else None
        info.pid, info.state = pid, state
        self._changed([each.info for each in self.children.values()])
