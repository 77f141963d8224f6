"""Runs the whole set in the foreground until it is told to stop."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from infra.embedded import full_disk
from infra.embedded.errors import SetError
from infra.embedded.nursing import Nursery
from infra.embedded.plan import PRELOADED, Plan, make_plan
from infra.embedded.ports import LOOPBACK, PortPicker
from infra.embedded.scribe import LineScribe, StateScribe
from infra.embedded.set_file import LOGS, ProcessInfo, Secrets, encode_set, find_set, write_set
from infra.embedded.supervisor import Supervisor
from infra.embedded.takeover import end_leftovers, hold

LONGEST = 800
"""Bytes of the folder's path: PostgreSQL has room for 1,024 with what stands below it."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class PortInUseError(SetError):
    """Somebody listens on the port that the set should be reached at."""


def run_set(data: Path, *, port: int, replicas: int, say: Callable[[str], None]) -> None:
    """Start everything in `data`, say `ready <url>`, and run until SIGTERM or Ctrl-C.

    `port` 0 takes a free one. Raises `SetInUseError`, `PortInUseError`, `StartFailedError` or `SetNotFoundError`, whose
    sentences say what to do.
    """
    data = data.expanduser().resolve()
    refuse_long(data)
    logs = data / LOGS
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold(data), contextlib.ExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(logs / "supervisor.log")))
        places = [stack.enter_context(contextlib.closing(LineScribe(write))) for write in (journal.write, say)]

        def tell(line: str) -> None:
            for place in places:
                place.put(line)

        before = find_set(data)
        if before is not None and (ended := end_leftovers(before.processes)):
            tell(f"ended what an earlier set had left running: {', '.join(ended)}")
        ports = PortPicker(before.ports if before is not None else None)
        if port == 0:
            port = ports.pick("edge-1")
        elif not ports.take("edge-1", port):
            raise PortInUseError(f"Port {port} on {LOOPBACK} is in use. Give another --port, or 0 for any free one.")
        passwords = Secrets(data)
        plan = make_plan(data, ports, passwords, public_port=port, replicas=replicas)
        passwords.save()
        state = stack.enter_context(contextlib.closing(StateScribe(lambda made: write_set(data, made), tell)))
        asyncio.run(_run(data, plan, tell, state))


def refuse_long(data: Path) -> None:
    """Raises `SetError` for a folder whose path is too long for PostgreSQL, which would say it in its own way."""
    length = len(os.fsencode(data))
    if length > LONGEST:
        raise SetError(
            f"The path of the set's folder has {length} bytes; it may have {LONGEST}. Give a shorter --data."
        )


async def _run(data: Path, plan: Plan, say: Callable[[str], None], state: StateScribe) -> None:
    def save(processes: list[ProcessInfo]) -> None:
        plan.file.processes = processes
        state.put(encode_set(plan.file))

    supervisor = Supervisor(data / LOGS, plan.stages, say=say, changed=save, nursery=Nursery(data / LOGS, PRELOADED))
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    watching = asyncio.create_task(
        full_disk.watch(
            lambda: full_disk.free_bytes(data),
            lambda: supervisor.restart("nats", "the disk was full, and has room again"),
        )
    )
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await asyncio.to_thread(state.settle)  # who reads "ready" will look there
            say(f"ready {plan.file.url}")
            await stopping
    finally:
        say("stopping")
        for task in (starting, stopping, watching):
            task.cancel()
        await asyncio.wait({starting, stopping, watching})
        await supervisor.stop()
        say("stopped")


class Journal:
    """What was said, with the time. On a full disk what can't be written is left out: people may have read it."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def write(self, line: str) -> None:
        # Unbuffered: what could not be written must not stand before what is written next, nor fail when it is closed.
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        os.write(self._descriptor, f"{now} {line}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        os.close(self._descriptor)
