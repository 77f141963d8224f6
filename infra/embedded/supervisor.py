"""Runs child processes: starts them stage by stage, restarts those that die, stops them in reverse order.

`Stage`s of `ProcessSpec`s describe what to run: the whole set, or a test's small programs.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from infra.embedded.child import Child, Launcher
from infra.embedded.errors import SetError
from infra.embedded.fork_client import ForkClient
from infra.embedded.process import ProcessSpec, last_lines
from infra.embedded.process_start import start_of_pid
from infra.embedded.set_file import ProcessInfo, State
from shared.backoff import Backoff
from shared.stopping import stop

PROBE_SECONDS = 0.1
"""Seconds between two readiness checks of a process that starts."""
WANTED_SECONDS = 1.0
"""Seconds between two checks whether an optional stage is wanted."""

T = TypeVar("T")


class StartFailedError(SetError):
    """A process could not be started."""


@dataclass(frozen=True)
class Stage:
    """Processes that start together, when all of the previous stage are ready."""

    processes: tuple[ProcessSpec, ...]
    then: Callable[[], None] = lambda: None
    """Runs in a thread when they are ready, before the next stage, such as to create databases."""
    is_ahead: bool = False
    """They are launched at once, to load while earlier stages start; held ones continue when it is their turn."""
    is_beside: bool = False
    """The next stage does not wait for them."""
    wanted: Callable[[], bool] | None = None
    """Starts them once it returns True, which is looked at every WANTED_SECONDS; nothing waits for them."""


def _kill_group(group: int) -> None:
    """Kill the processes that a child has left in its process group, such as a worker's rendering processes."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


async def _until_done(needed: Sequence[asyncio.Task[None]], watched: Sequence[asyncio.Task[None]]) -> None:
    """Waits for the needed tasks; raises the first exception of any watched task, too."""
    while pending := [task for task in needed if not task.done()]:
        running = [task for task in watched if not task.done()]
        done, _ = await asyncio.wait(running or pending, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    for task in needed:
        task.result()


def _ignoring_os_errors(write: Callable[[T], None]) -> Callable[[T], None]:
    def write_if_possible(value: T) -> None:
        with contextlib.suppress(OSError):
            write(value)

    return write_if_possible


GIVE_UP = 5
"""Deaths of a process that has never been ready after which `start` fails."""


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
        fork_client: ForkClient | None = None,
    ) -> None:
        """`say` gets a line for the operator per event; `changed` gets the state of all processes after each change.

        Both run in the event loop and must not block. Their `OSError`s are ignored. Pauses between restarts of one
        process grow from `first_pause` to `longest_pause` seconds. Processes that `fork_client` can fork are forked;
        if that fails, they are executed.
        """
        self._logs, self._stages = logs, stages
        self._say, self._changed = _ignoring_os_errors(say), _ignoring_os_errors(changed)
        self._first_pause, self._longest_pause = first_pause, longest_pause
        self._start_seconds = start_seconds
        self._launcher = Launcher(logs, fork_client, self._say)
        self._stopping = asyncio.Event()
        # A probe of a hanging server blocks its thread: with two threads per process, others still get one.
        self._threads = ThreadPoolExecutor(2 * sum(len(stage.processes) for stage in stages))
        specs = [spec for stage in stages for spec in stage.processes]
        assert len({spec.name for spec in specs}) == len(specs), "every process needs a name of its own"
        self.children = {spec.name: Child(spec, self._describe(spec)) for spec in specs}
        self._unwanted = {spec.name for stage in stages if stage.wanted for spec in stage.processes}
        self._waiting: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Returns when every process of a stage without `wanted` is ready.

        Raises `StartFailedError`; call `stop` then, too.
        """
        stages = [stage for stage in self._stages if stage.wanted is None]
        for stage in stages:
            if stage.is_ahead:
                self._begin(stage)
        completing: list[asyncio.Task[None]] = []
        try:
            for stage in stages:
                if not stage.is_ahead:
                    self._begin(stage)
                completing.append(asyncio.create_task(self._complete(stage)))
                if not stage.is_beside:
                    await _until_done(completing[-1:], completing)
            await _until_done(completing, completing)
            optional = [stage for stage in self._stages if stage.wanted is not None]
            self._waiting = [asyncio.create_task(self._begin_when_wanted(stage)) for stage in optional]
        finally:
            await stop(*completing)

    async def _begin_when_wanted(self, stage: Stage) -> None:
        assert stage.wanted is not None
        while not stage.wanted():  # noqa: ASYNC110 - it looks at a file
            await asyncio.sleep(WANTED_SECONDS)
        self._unwanted -= {spec.name for spec in stage.processes}
        self._begin(stage)
        for child in self._children_of(stage):
            child.turn.set()

    def _begin(self, stage: Stage) -> None:
        for child in self._children_of(stage):
            child.keeper = asyncio.create_task(self._keep(child), name=f"keep {child.spec.name}")

    async def _complete(self, stage: Stage) -> None:
        children = self._children_of(stage)
        for child in children:
            child.turn.set()
        await asyncio.gather(*(self._wait_until_ready(child) for child in children))
        await self._in_thread(stage.then)

    def _children_of(self, stage: Stage) -> list[Child]:
        return [self.children[spec.name] for spec in stage.processes]

    async def stop(self) -> None:
        """Stop all processes, last stage first; each is killed after its `grace_seconds`."""
        self._stopping.set()
        await stop(*self._waiting)
        for stage in reversed(self._stages):
            await asyncio.gather(*(self._stop_child(self.children[spec.name]) for spec in stage.processes))
        await self._launcher.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _keep(self, child: Child) -> None:
        """Runs the process, and restarts it with backoff whenever it ends, until `stop`."""
        backoff = Backoff(child.spec.name, first=self._first_pause, longest=self._longest_pause, quiet=True)
        while not self._stopping.is_set():
            try:
                ending = await self._run_once(child)
            except Exception as error:  # noqa: BLE001 - any failed start is reported and retried
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
        """Start the process and wait for its end; returns how it ended, for messages."""
        spec = child.spec
        await self._in_thread(spec.prepare)
        if self._stopping.is_set():
            return "was not started"
        process = await self._launcher.launch(child)
        child.process = process
        self._note(child, "starting", pid=process.pid)
        if self._stopping.is_set():  # `stop` was called while it was being started
            child.signal(spec.stop_signal)
        prober = asyncio.create_task(self._probe(child), name=f"probe {spec.name}")
        try:
            code = await process.wait()
        finally:
            prober.cancel()
            child.process = None
            child.ready.clear()
            _kill_group(process.pid)
            with contextlib.suppress(OSError):  # a file that can't be removed now does not prevent the next start
                spec.cleanup()
        if code is None:
            return "has ended"
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    async def _probe(self, child: Child) -> None:
        if child.spec.is_held:
            await child.turn.wait()
        child.release()
        began = time.monotonic()
        while True:
            try:
                await self._in_thread(child.spec.ready)
            except Exception:  # noqa: BLE001 - any error means: not ready
                await asyncio.sleep(PROBE_SECONDS)
            else:
                break
        child.has_been_ready = True
        child.ready.set()
        self._note(child, "ready", pid=child.info.pid)
        again = " again" if child.info.restarts else ""
        self._say(f"{child.spec.name} is ready{again} (pid {child.info.pid}, {time.monotonic() - began:.1f} s)")

    async def _wait_until_ready(self, child: Child) -> None:
        waits = {
            asyncio.create_task(child.ready.wait()),
            failure := asyncio.create_task(child.failed.wait()),
            stop := asyncio.create_task(self._stopping.wait()),
        }
        done, pending = await asyncio.wait(waits, timeout=self._start_seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        if child.has_been_ready:
            return
        name, log = child.spec.name, self._logs / f"{child.spec.name}.log"
        if stop in done:
            raise StartFailedError(f"stopped while {name} was starting")
        not_ready = f"was not ready within {self._start_seconds:g} s"
        cause = f"can't be started: it {child.ending}" if failure in done else not_ready
        raise StartFailedError(f"{name} {cause}. The end of {log}:\n{last_lines(self._logs, name)}")

    def restart(self, name: str, why: str) -> None:
        """Send a process its stop signal; its keeper then starts it again."""
        self._say(f"{name} is restarted: {why}")
        child = self.children[name]
        child.signal(child.spec.stop_signal)

    async def _stop_child(self, child: Child) -> None:
        if child.keeper is None:
            return
        child.signal(child.spec.stop_signal)
        done, _ = await asyncio.wait({child.keeper}, timeout=child.spec.grace_seconds)
        if not done:
            if child.process is not None:
                self._say(f"{child.spec.name} did not stop in {child.spec.grace_seconds:g} s and is killed")
                child.signal(signal.SIGKILL)
            await child.keeper

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
        self._changed([child.info for name, child in self.children.items() if name not in self._unwanted])
