"""`emprops status`."""

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.cli.escaping import cell, escape, escape_json
from infra.cli.options import data_option, examples, folder, json_option, not_running, open_set
from infra.cli.process_report import Process, inspect_processes, supervisor_troubles
from infra.embedded.set_lock import holder_of


class Status(msgspec.Struct):
    running: bool
    ready: bool
    """Whether nothing is wrong; then the exit code is 0."""
    why: list[str]
    """What is wrong, in sentences; empty if `ready`."""
    url: str
    data: str
    processes: list[Process]


@click.command(epilog=examples("emprops status --data data/set", "emprops status --data data/set --json"))
@data_option
@json_option
def status(data: Path, *, as_json: bool) -> None:
    """Show each process of a set, what its followers have yet to process, and what is wrong.

    Exits with 0 only if every process runs and is ready, followers of history make progress, nothing is parked, and
    clocks agree. Answers within three seconds, even if processes are frozen or silent.
    """
    file = open_set(data)
    holder = holder_of(folder(data))
    processes = inspect_processes(file, holder)
    why = [f"{process.name}: {trouble}" for process in processes for trouble in process.troubles]
    why = [not_running(data)] if holder is None else [*supervisor_troubles(file, holder), *why]
    report = Status(holder is not None, not why, why, file.url, str(folder(data)), processes)
    if as_json:
        click.echo(escape_json(report))
    else:
        _show(report)
    raise SystemExit(0 if report.ready else 1)


def _show(report: Status) -> None:
    console = Console(highlight=False)
    if report.running:
        table = Table(title=cell(report.url), title_justify="left", box=None, pad_edge=False)
        for column in ("process", "state", "pid", "restarts", "waiting"):
            table.add_column(column, justify="right" if column in {"pid", "restarts"} else "left")
        for process in report.processes:
            state = "not ready" if process.state == "ready" and process.ready is False else process.state
            table.add_row(
                cell(process.name),
                Text(escape(state), style="red" if process.troubles else "green"),
                str(process.pid or "-"),
                str(process.restarts),
                cell(_waiting(process)),
            )
        console.print(table)
    for sentence in dict.fromkeys(sentence for process in report.processes for sentence in _notes(process)):
        console.print(Text(escape(sentence)), soft_wrap=True)
    if report.why:
        console.print("Problems:", style="bold")
        for sentence in report.why:
            console.print(Text(f"  {escape(sentence)}"), soft_wrap=True)
    else:
        console.print("No problems found.")


def _notes(process: Process) -> list[str]:
    """Notes that do not affect readiness: a restored history, a message from another sender."""
    service = process.name.rpartition("-")[0]
    notes = {
        "history": f"The history of {service} was restored to an earlier state",
        "stream": f"The stream of {service}",
    }
    details = {name: process.checks.get(name, {}).get("detail") for name in notes}
    return [f"{notes[name]}: {detail}" for name, detail in details.items() if detail]


def _waiting(process: Process) -> str:
    """The followers that are behind, with the number of events; how many followers there are, if none is behind."""
    reports = [follower["progress"] for follower in process.followers]
    behind = [f"{progress['name']} {progress['waiting']}" for progress in reports if progress.get("waiting")]
    return ", ".join(behind) or (f"{len(reports)} followers 0" if reports else "")
