"""Runs the whole set in the foreground until it is told to stop."""

import asyncio
import signal
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import IO

from infra.embedded.errors import SetError
from infra.embedded.plan import Plan, make_plan
from infra.embedded.ports import LOOPBACK, PortPicker
from infra.embedded.set_file import LOGS, ProcessInfo, Secrets, find_set, save_set
from infra.embedded.supervisor import Supervisor
from infra.embedded.takeover import end_leftovers, hold

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class PortInUseError(SetError):
    """Somebody listens on the port that the set should be reached at."""


def run_set(data: Path, *, port: int, replicas: int, say: Callable[[str], None]) -> None:
    """Start everything in `data`, say `ready <url>`, and run until SIGTERM or Ctrl-C.

    `port` 0 takes a free one. Raises `SetInUseError`, `PortInUseError`, `StartFailedError` or `SetNotFoundError`, whose
    sentences say what to do.
    """
    data = data.expanduser().resolve()
    logs = data / LOGS
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold(data), (logs / "supervisor.log").open("a") as journal:

        def tell(line: str) -> None:
            _record(journal, line)
            say(line)

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
        asyncio.run(_run(data, plan, tell))


async def _run(data: Path, plan: Plan, say: Callable[[str], None]) -> None:
    def save(processes: list[ProcessInfo]) -> None:
        plan.file.processes = processes
        save_set(data, plan.file)

    supervisor = Supervisor(data / LOGS, plan.stages, say=say, changed=save)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            say(f"ready {plan.file.url}")
            await stopping
    finally:
        say("stopping")
        for task in (starting, stopping):
            task.cancel()
        await asyncio.wait({starting, stopping})
        await supervisor.stop()
        say("stopped")


def _record(journal: IO[str], line: str) -> None:
    journal.write(f"{datetime.now().astimezone().isoformat(timespec='milliseconds')} {line}\n")
    journal.flush()
