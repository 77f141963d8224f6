"""What is the matter with a set: each of its processes as the system sees it, and as it describes itself.

The set's own file may be old: the supervisor may be frozen, dead, or unable to write. So nothing in it is believed that
can be looked at.
"""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import psutil

from infra.cli.bounded import ask
from infra.embedded.hello import get, hello_http, hello_nats, hello_postgres
from infra.embedded.nursing import FORKS_WITHIN, NURSERY
from infra.embedded.set_file import ProcessInfo, SetFile

SECONDS = 2.2
"""That everything has together; starting Python takes the rest of three."""
PATIENCE = 2.0
"""That one answer has: a service gives its own checks one and a half."""

FROZEN = {psutil.STATUS_STOPPED, psutil.STATUS_TRACING_STOP}

Answer = Literal["ok", "degraded", "failing"]


class Process(msgspec.Struct):
    """A process of the set."""

    name: str
    state: str
    """starting, ready, waiting (for its restart), stopped: by the supervisor; frozen, gone: by what is to be seen."""
    pid: int | None
    restarts: int
    url: str | None
    ready: bool | None = None
    """What `/health/ready` says now; None for a process that has none, or is not running."""
    checks: dict[str, dict[str, Any]] = {}
    followers: list[dict[str, Any]] = []
    troubles: list[str] = []
    """What is not as it should be, in sentences. Empty: all is well."""


def look(made: SetFile, holder: int | None) -> list[Process]:
    """Every process of the set. `holder`: the supervisor that holds its folder; None when none does."""
    if holder is None:
        return [Process(info.name, "stopped", None, info.restarts, info.url) for info in made.processes]
    processes = {info.name: _seen(info) for info in made.processes}
    questions: dict[str, Callable[[], Any]] = {}
    for info in made.processes:
        if info.url is not None and processes[info.name].state in {"starting", "ready", "frozen"}:
            question = _question(made, info)
            if question is not None:
                questions[info.name] = question
    answers = ask(questions, SECONDS)
    for name in questions:
        _judge(processes[name], answers.get(name))
    return list(processes.values())


def supervisor_troubles(made: SetFile, holder: int) -> list[str]:
    """What is wrong with the processes that start the others again when they die."""
    try:
        supervisor = psutil.Process(holder)
        if supervisor.status() in FROZEN:
            wake = f"wake it: kill -CONT {holder}"
            return [f"the supervisor (pid {holder}) is frozen: processes that die are not started again; {wake}"]
        nurseries = [child for child in supervisor.children() if NURSERY in child.cmdline()]
        troubles = [
            f"the process that services are forked from (pid {nursery.pid}) is frozen: a service that dies is started "
            f"again after {FORKS_WITHIN:g} s more; wake it: kill -CONT {nursery.pid}"
            for nursery in nurseries
            if nursery.status() in FROZEN
        ]
    except psutil.Error:
        return []  # it has just gone, or is another user's: the lock says that it is there
    if made.pid != holder:
        troubles.append(f"the supervisor (pid {holder}) is starting: what is shown is from before")
    return troubles


def _seen(info: ProcessInfo) -> Process:
    """By the operating system: whether it is there at all, and runs."""
    seen = Process(info.name, info.state, info.pid, info.restarts, info.url)
    if info.state == "waiting":
        seen.troubles = [f"it died and is to be started again; see {info.log}"]
    elif info.state == "starting":
        seen.troubles = [f"it is starting; see {info.log}"]
    elif info.state == "stopped":
        seen.troubles = ["it is stopped, and will not be started again"]
    if info.pid is None:
        return seen
    try:
        process = psutil.Process(info.pid)
        status = process.status()
        is_another = info.start is not None and not info.start.is_of(process)
    except psutil.NoSuchProcess:
        status, is_another = psutil.STATUS_DEAD, False
    except psutil.Error:
        return seen
    if is_another or status in {psutil.STATUS_DEAD, psutil.STATUS_ZOMBIE}:
        seen.state = "gone"
        seen.troubles = [f"it has died; the supervisor has not noticed yet; see {info.log}"]
    elif status in FROZEN:
        seen.state = "frozen"
        seen.troubles = [f"it is frozen (SIGSTOP); wake it: kill -CONT {info.pid}"]
    return seen


def _question(made: SetFile, info: ProcessInfo) -> Callable[[], Any] | None:
    if info.tells_health:
        return lambda: _readiness(str(info.url))
    servers: dict[str, Callable[[], None]] = {
        "postgres": lambda: hello_postgres(made.postgres_url, PATIENCE),
        "nats": lambda: hello_nats(made.nats_url, PATIENCE),
        "seaweedfs": lambda: hello_http(made.s3.endpoint, "/healthz", PATIENCE),
    }
    server = servers.get(info.name)
    return (lambda: _tried(server)) if server is not None else None


def _tried(question: Callable[[], None]) -> str:
    try:
        question()
    except Exception as error:  # noqa: BLE001 - whatever it is, the server is not well, and that is the answer
        return f"it does not answer as it should: {_first_line(error)}"
    return ""


def _readiness(url: str) -> dict[str, Any] | str:
    try:
        status, body = get(url, "/health/ready", PATIENCE)
        answer = msgspec.json.decode(body, type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        return f"it can't be asked: {_first_line(error)}"
    return {"code": status, **answer}


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _named(check: str, detail: str) -> str:
    return detail if detail.startswith(f"{check}: ") else f"{check}: {detail}"


def _judge(process: Process, answer: dict[str, Any] | str | None) -> None:
    """What it said of itself, beside what is to be seen."""
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
            _named(name, check.get("detail") or check["status"])
            for name, check in process.checks.items()
            if check.get("status") != "ok"
        ]
        if process.ready and process.state == "starting":
            process.troubles = process.troubles[1:]  # it is ready, and its supervisor is about to notice
