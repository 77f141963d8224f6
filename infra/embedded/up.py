"""Runs the whole set in the foreground until a stop signal."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from infra.embedded import full_disk
from infra.embedded.background_writers import LineWriter, StateWriter
from infra.embedded.errors import SetError
from infra.embedded.fork_client import ForkClient
from infra.embedded.plan import PRELOADED, Plan, make_plan
from infra.embedded.ports import LOOPBACK, PortPicker
from infra.embedded.set_file import LOGS, ProcessInfo, Secrets, encode_set, find_set, write_set
from infra.embedded.set_lock import end_leftovers, hold
from infra.embedded.supervisor import Supervisor

MAX_PATH = 800
"""Bytes of the folder's path: PostgreSQL allows 1,024 for the paths of its files below it."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class PortInUseError(SetError):
    """The requested port of the edge is in use."""


def run_set(
    data: Path,
    *,
    port: int,
    replicas: int,
    say: Callable[[str], None],
    workers: Mapping[str, Sequence[str]] | None = None,
    comfy_urls: str = "",
    public_url: str = "",
) -> None:
    """Start the set in `data`, print `ready <url>` with `say`, and run until SIGTERM, SIGHUP or Ctrl-C.

    `port` 0 picks a free one. `workers`, `comfy_urls`, `public_url`: see `make_plan`. Raises `SetError`, mostly
    `SetInUseError`, `PortInUseError`, `StartFailedError` or `SetNotFoundError`; its message says what to do.
    """
    data = data.expanduser().resolve()
    refuse_long(data)
    logs = data / LOGS
    logs.mkdir(mode=0o700, parents=True, exist_ok=True)
    with hold(data), contextlib.ExitStack() as stack:
        journal = stack.enter_context(contextlib.closing(Journal(logs / "supervisor.log")))
        writers = [stack.enter_context(contextlib.closing(LineWriter(write))) for write in (journal.write, say)]

        def report(line: str) -> None:
            for writer in writers:
                writer.put(line)

        previous = find_set(data)
        if previous is not None and (ended := end_leftovers(previous.processes)):
            report(f"ended processes that an earlier run had left: {', '.join(ended)}")
        ports = PortPicker(previous.ports if previous is not None else None)
        if port == 0:
            port = ports.pick("edge-1")
        elif not ports.take("edge-1", port):
            raise PortInUseError(f"Port {port} on {LOOPBACK} is in use. Give another --port, or 0 for any free one.")
        passwords = Secrets(data)
        plan = make_plan(
            data,
            ports,
            passwords,
            public_port=port,
            replicas=replicas,
            workers=workers,
            comfy_urls=comfy_urls,
            public_url=public_url,
        )
        passwords.save()
        state = stack.enter_context(contextlib.closing(StateWriter(lambda encoded: write_set(data, encoded), report)))
        asyncio.run(_run(data, plan, report, state))


def refuse_long(data: Path) -> None:
    """Raises `SetError` for a folder whose path is too long for PostgreSQL, whose own message would be unclear."""
    length = len(os.fsencode(data))
    if length > MAX_PATH:
        raise SetError(
            f"The path of the set's folder has {length} bytes; at most {MAX_PATH} are allowed. Give a shorter --data."
        )


async def _run(data: Path, plan: Plan, say: Callable[[str], None], state: StateWriter) -> None:
    def save(processes: list[ProcessInfo]) -> None:
        plan.file.processes = processes
        state.put(encode_set(plan.file))

    supervisor = Supervisor(
        data / LOGS, plan.stages, say=say, changed=save, fork_client=ForkClient(data / LOGS, PRELOADED)
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)
    starting = asyncio.create_task(supervisor.start())
    stopping = asyncio.create_task(stop.wait())
    watching = asyncio.create_task(
        full_disk.watch(
            lambda: full_disk.free_bytes(data),
            lambda: supervisor.restart("nats", "the disk was full, and has space again"),
        )
    )
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            await starting
            await asyncio.to_thread(state.flush)  # programs read set.json once they have seen "ready"
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
    """The supervisor's log: each line with its time. `write` raises `OSError` if the disk is full."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)

    def write(self, line: str) -> None:
        # Unbuffered: a line that could not be written must not be retried by the next write or by `close`.
        now = datetime.now().astimezone().isoformat(timespec="milliseconds")
        os.write(self._descriptor, f"{now} {line}\n".encode(errors="backslashreplace"))

    def close(self) -> None:
        os.close(self._descriptor)
