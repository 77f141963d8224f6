"""`emprops status`."""

from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from infra.cli.looking import Process, look, supervisor_troubles
from infra.cli.options import data_option, examples, folder, json_option, not_running, open_set
from infra.cli.shown import cell, json_shown, shown
from infra.embedded.takeover import holder_of


class Status(msgspec.Struct):
    running: bool
    ready: bool
    """Whether all is as it should be: the exit code says the same."""
    why: list[str]
    """What is not, in sentences; empty when all is well."""
    url: str
    data: str
    processes: list[Process]


@click.command(epilog=examples("emprops status --data data/set", "emprops status --data data/set --json"))
@data_option
@json_option
def status(data: Path, *, as_json: bool) -> None:
    """Show each process of a set, how far it has come, and what is not as it should be.

    Exits with 0 only if all is well: everything runs and is ready, what follows history makes progress, nothing is
    parked, clocks agree. Answers within three seconds, whatever is frozen or silent.
    """
    made = open_set(data)
    holder = holder_of(folder(data))
    processes = look(made, holder)
    why = [f"{each.name}: {trouble}" for each in processes for trouble in each.troubles]
    why = [not_running(data)] if holder is None else [*supervisor_troubles(made, holder), *why]
    found = Status(holder is not None, not why, why, made.url, str(folder(data)), processes)
    if as_json:
        click.echo(json_shown(found))
    else:
        _show(found)
    raise SystemExit(0 if found.ready else 1)


def _show(found: Status) -> None:
    console = Console(highlight=False)
    if found.running:
        table = Table(title=cell(found.url), title_justify="left", box=None, pad_edge=False)
        for column in ("process", "state", "pid", "restarts", "waiting"):
            table.add_column(column, justify="right" if column in {"pid", "restarts"} else "left")
        for each in found.processes:
            state = "not ready" if each.state == "ready" and each.ready is False else each.state
            table.add_row(
                cell(each.name),
                Text(shown(state), style="red" if each.troubles else "green"),
                str(each.pid or "-"),
                str(each.restarts),
                cell(_waiting(each)),
            )
        console.print(table)
    for sentence in dict.fromkeys(sentence for each in found.processes for sentence in _notes(each)):
        console.print(Text(shown(sentence)), soft_wrap=True)
    if found.why:
        console.print("Not as it should be:", style="bold")
        for sentence in found.why:
            console.print(Text(f"  {shown(sentence)}"), soft_wrap=True)
    else:
        console.print("All is as it should be.")


def _notes(process: Process) -> list[str]:
    """What operators should know although all is well: a history that was put back, a message of another sender."""
    service = process.name.rpartition("-")[0]
    notes = {"history": f"The history of {service} was put back", "stream": f"The stream of {service}"}
    details = {name: process.checks.get(name, {}).get("detail") for name in notes}
    return [f"{notes[name]}: {detail}" for name, detail in details.items() if detail]


def _waiting(process: Process) -> str:
    """Which followers have something before them; how many there are, when none has."""
    told = [each["progress"] for each in process.followers]
    behind = [f"{each['name']} {each['waiting']}" for each in told if each.get("waiting")]
    return ", ".join(behind) or (f"{len(told)} followers 0" if told else "")
