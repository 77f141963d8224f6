"""`emprops status`."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click
import msgspec
import urllib3
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Table

from infra.cli.options import data_option, examples, folder, json_option, open_set
from infra.embedded.set_file import ProcessInfo
from infra.embedded.takeover import is_held

TIMEOUT = 5.0
LAGS = {"relay_lag_events": "relay", "projection_lag_events": "projection", "process_lag_events": "process"}
"""The gauges that tell how far something is behind, in events; the label of the same name says which."""


class Lag(msgspec.Struct):
    kind: str
    """relay, projection or process."""
    name: str
    events: int


class Report(msgspec.Struct):
    name: str
    state: str
    """As the supervisor sees it: starting, ready, waiting (for its restart), stopped."""
    pid: int | None
    restarts: int
    url: str | None
    ready: bool | None
    """What `/health/ready` says now; None for a process that has none, or is not running."""
    checks: dict[str, Any]
    lags: list[Lag]


@click.command(epilog=examples("emprops status --data data/set", "emprops status --data data/set --json | jq .ready"))
@data_option
@json_option
def status(data: Path, *, as_json: bool) -> None:
    """Show each process: its pid and restarts, its readiness, and the lag of its projections and relay in events.

    Exits with 0 only if the set runs and everything in it is ready.
    """
    made = open_set(data)
    running = is_held(folder(data))
    with ThreadPoolExecutor(max_workers=16) as pool:
        reports = list(pool.map(lambda info: look_at(info, running=running), made.processes))
    ready = running and bool(reports) and all(each.ready is not False and each.state == "ready" for each in reports)
    if as_json:
        body = {"running": running, "ready": ready, "url": made.url, "data": str(folder(data)), "processes": reports}
        click.echo(msgspec.json.format(msgspec.json.encode(body)).decode())
    else:
        show(reports, running=running, url=made.url, data=data)
    raise SystemExit(0 if ready else 1)


def look_at(info: ProcessInfo, *, running: bool) -> Report:
    """A process as the supervisor has written it down and, for a service, as it describes itself."""
    report = Report(info.name, info.state, info.pid, info.restarts, info.url, ready=None, checks={}, lags=[])
    if not running:
        report.state, report.pid = "stopped", None
    elif info.tells_health and info.url is not None and info.pid is not None:
        report.ready, report.checks = _readiness(info.url)
        report.lags = _lags(info.url)
    return report


def _get(url: str) -> urllib3.BaseHTTPResponse:
    # urllib3 and not urllib, which would ask a proxy of the environment for loopback addresses too.
    return urllib3.request("GET", url, timeout=TIMEOUT, retries=False)


def _readiness(url: str) -> tuple[bool, dict[str, Any]]:
    try:
        answer = _get(f"{url}/health/ready")
        return answer.status == 200, dict(answer.json().get("checks", {}))
    except (urllib3.exceptions.HTTPError, ValueError, AttributeError) as error:
        return False, {"http": {"status": "failing", "detail": str(error)}}


def _lags(url: str) -> list[Lag]:
    try:
        families = list(text_string_to_metric_families(_get(f"{url}/metrics").data.decode()))
    except (urllib3.exceptions.HTTPError, ValueError):
        return []
    return [
        Lag(kind, sample.labels.get(kind, kind), int(sample.value))
        for family in families
        for sample in family.samples
        if (kind := LAGS.get(sample.name))
    ]


def show(reports: list[Report], *, running: bool, url: str, data: Path) -> None:
    console = Console()
    if not running:
        console.print(f"The set in {data} is not running. Start it: emprops up --data {data}")
        return
    table = Table(title=url, title_justify="left", box=None, pad_edge=False)
    for column in ("process", "state", "pid", "restarts", "lag in events", "not in order"):
        table.add_column(column, justify="right" if column in {"pid", "restarts"} else "left")
    for each in reports:
        good = each.state == "ready" and each.ready is not False
        state = each.state if each.ready is not False or each.state != "ready" else "not ready"
        failing = [f"{name}: {check.get('detail')}" for name, check in each.checks.items() if check["status"] != "ok"]
        table.add_row(
            each.name,
            f"[green]{state}[/]" if good else f"[red]{state}[/]",
            str(each.pid or "-"),
            str(each.restarts),
            _lag_in_words(each.lags),
            "\n".join(failing),
        )
    console.print(table)


def _lag_in_words(lags: list[Lag]) -> str:
    relay = "".join(f"relay {lag.events}" for lag in lags if lag.kind == "relay")
    behind = [f"{lag.name} {lag.events}" for lag in lags if lag.kind != "relay" and lag.events]
    projections = sum(lag.kind == "projection" for lag in lags)
    words = [relay, *behind] if behind else [relay, f"{projections} projections 0" if projections else ""]
    return ", ".join(word for word in words if word)
