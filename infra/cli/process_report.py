"""Inspects the processes of a set: as the operating system reports them, and as their readiness checks do.

The set's file may be out of date: the supervisor may be frozen, dead, or unable to write. So only facts that can't be
checked directly are taken from the file.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import psutil

from infra.cli.concurrent_calls import run_all
from infra.embedded.fork_client import FORK_SERVER, FORKS_WITHIN
from infra.embedded.probes import get, probe_http, probe_nats, probe_postgres
from infra.embedded.set_file import ProcessInfo, SetFile

SECONDS = 2.2
"""Limit for all checks together; starting Python takes the rest of the three seconds of `emprops status`."""
CHECK_SECONDS = 2.0
"""Limit for one check: a service's readiness checks take at most 1.5 s."""

FROZEN = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}

Answer = Literal["ok", "degraded", "failing"]


class Process(msgspec.Struct):
    """A process of the set."""

    name: str
    state: str
    """By the supervisor: starting, ready, waiting (for its restart), stopped. By the operating system: frozen, gone."""
    pid: int | None
    restarts: int
    url: str | None
    ready: bool | None = None
    """The result of `/health/ready`; None for a process that has none, or is not running."""
    checks: dict[str, dict[str, Any]] = {}
    followers: list[dict[str, Any]] = []
    troubles: list[str] = []
    """Sentences for operators; empty when nothing is wrong."""


def inspect_processes(file: SetFile, holder: int | None) -> list[Process]:
    """Every process of the set. `holder`: pid of the supervisor that holds its folder; None if it is not running."""
    if holder is None:
        return [Process(info.name, "stopped", None, info.restarts, info.url) for info in file.processes]
    processes = {info.name: _observe(info) for info in file.processes}
    checks: dict[str, Callable[[], Any]] = {}
    for info in file.processes:
        if info.url is not None and processes[info.name].state in {"starting", "ready", "frozen"}:
            check = _check(file, info)
            if check is not None:
                checks[info.name] = check
    results = run_all(checks, SECONDS)
    for name in checks:
        _add_result(processes[name], results.get(name))
    return list(processes.values())


def supervisor_troubles(file: SetFile, holder: int) -> list[str]:
    """What is wrong with the supervisor, and with its fork server."""
    try:
        supervisor = psutil.Process(holder)
        if supervisor.status() in FROZEN:
            wake = f"wake it: kill -CONT {holder}"
            return [f"the supervisor (pid {holder}) is frozen: processes that die are not started again; {wake}"]
        fork_servers = [child for child in supervisor.children() if FORK_SERVER in child.cmdline()]
        troubles = [
            f"the fork server (pid {fork_server.pid}) is frozen: a service that dies is started "
            f"again after {FORKS_WITHIN:g} s more; wake it: kill -CONT {fork_server.pid}"
            for fork_server in fork_servers
            if fork_server.status() in FROZEN
        ]
    except psutil.Error:
        return []  # it has just ended, or belongs to another user
    if file.pid != holder:
        troubles.append(f"the supervisor (pid {holder}) is starting: the processes shown are those of the previous run")
    return troubles


def _observe(info: ProcessInfo) -> Process:
    """The process with the state that the operating system reports, where that differs from the recorded one."""
    observed = Process(info.name, info.state, info.pid, info.restarts, info.url)
    if info.state == "waiting":
        observed.troubles = [f"it died, and restarts after a pause; see {info.log}"]
    elif info.state == "starting":
        observed.troubles = [f"it is starting; see {info.log}"]
    elif info.state == "stopped":
        observed.troubles = ["it is stopped, and will not be restarted"]
    if info.pid is None:
        return observed
    try:
        process = psutil.Process(info.pid)
        status = process.status()
        is_another = info.start is not None and not info.start.is_of(process)
    except psutil.NoSuchProcess:
        status, is_another = psutil.STATUS_DEAD, False
    except psutil.Error:
        return observed
    if is_another or status in {psutil.STATUS_DEAD, psutil.STATUS_ZOMBIE}:
        observed.state = "gone"
        observed.troubles = [f"it has died; the supervisor has not noticed yet; see {info.log}"]
    elif status in FROZEN:
        observed.state = "frozen"
        observed.troubles = [f"it is frozen (SIGSTOP); wake it: kill -CONT {info.pid}"]
    return observed


def _check(file: SetFile, info: ProcessInfo) -> Callable[[], Any] | None:
    if info.tells_health:
        return lambda: _readiness(str(info.url))
    servers: dict[str, Callable[[], None]] = {
        "postgres": lambda: probe_postgres(file.postgres_url, CHECK_SECONDS),
        "nats": lambda: probe_nats(file.nats_url, CHECK_SECONDS),
        "seaweedfs": lambda: probe_http(file.s3.endpoint, "/healthz", CHECK_SECONDS),
    }
    server = servers.get(info.name)
    return (lambda: _failure_of(server)) if server is not None else None


def _failure_of(check: Callable[[], None]) -> str:
    """A sentence if the check fails, else empty."""
    try:
        check()
    except Exception as error:  # noqa: BLE001 - any error means that the server is not available
        return f"its check failed: {_first_line(error)}"
    return ""


def _readiness(url: str) -> dict[str, Any] | str:
    try:
        status, body = get(url, "/health/ready", CHECK_SECONDS)
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        return f"/health/ready can't be read: {_first_line(error)}"
    return {"code": status, **answer}


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _with_name(check: str, detail: str) -> str:
    return detail if detail.startswith(f"{check}: ") else f"{check}: {detail}"


def _add_result(process: Process, answer: dict[str, Any] | str | None) -> None:
    """Adds the result of its check: a readiness answer, a sentence (empty: passed), or None if none came in time."""
    if answer is None:
        if process.state != "frozen":
            process.troubles.append(f"it gave no answer in {SECONDS:g} s")
        process.ready = False if process.ready is None else process.ready
    elif isinstance(answer, str):
        if answer:
            process.ready = False
            process.troubles.append(answer)
    else:
        process.ready = answer["code"] == 200
        process.checks = dict(answer.get("checks", {}))
        process.followers = list(answer.get("followers", []))
        process.troubles += [
            _with_name(name, check.get("detail") or check["status"])
            for name, check in process.checks.items()
            if check.get("status") != "ok"
        ]
        if process.ready and process.state == "starting":
            process.troubles = process.troubles[1:]  # "it is starting": the supervisor has not yet seen it ready
