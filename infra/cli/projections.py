"""`emprops projections`."""

import time
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from infra.cli.history import definition_of, opened_store, run, service_option
from infra.cli.options import data_option, examples, fail, json_option
from shared.eventstore import EventStore
from shared.projections import Lag, Projection, Projector
from shared.projections import rebuild as rebuild_table


@click.group()
def projections() -> None:
    """Read tables: list them, and build them anew from history."""


class Report(msgspec.Struct):
    """`missing` and `extra`: rows that only the live, or only the rebuilt table had. Both are 0 when all is well."""

    name: str
    events: int
    position: int
    missing: int
    extra: int
    seconds: float
    swapped: bool


@projections.command(
    epilog=examples(
        "emprops projections rebuild --data data/set --service credits",
        "emprops projections rebuild --data data/set --service generation jobs --check --json",
    )
)
@data_option
@service_option
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Only build and compare; the live table stays.")
@json_option
def rebuild(data: Path, service: str, name: str | None, *, check: bool, as_json: bool) -> None:
    """Build a read table (or all of a service's) from position 0, compare it with the live one, and swap it in.

    The service goes on meanwhile. Ctrl-C at any point changes nothing. Exits with 1 when rows differed.
    """
    every = definition_of(service).projections
    chosen = [each for each in every if name in {None, each.name}]
    if not chosen:
        fail(f"{service} has no projection {name}; it has {', '.join(each.name for each in every)}", code=2)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=as_json),
    )

    async def go() -> list[Report]:
        async with opened_store(data, service) as store:
            await Projector(store, every).prepare()
            return [await _one(store, each, bar, swap=not check) for each in chosen]

    with bar:
        reports = run(go())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(reports)).decode())
    else:
        _show(reports)
    raise SystemExit(1 if any(report.missing or report.extra for report in reports) else 0)


async def _one(store: EventStore, projection: Projection[Any], bar: Progress, *, swap: bool) -> Report:
    task: TaskID = bar.add_task(projection.name, total=None)
    began = time.monotonic()
    done = await rebuild_table(
        store,
        projection,
        swap=swap,
        progress=lambda position, goal: bar.update(task, completed=position, total=goal),
    )
    bar.update(task, completed=done.position, total=done.position)
    seconds = round(time.monotonic() - began, 3)
    return Report(projection.name, done.events, done.position, done.missing, done.extra, seconds, swap)


def _show(reports: list[Report]) -> None:
    table = Table(box=None, pad_edge=False)
    for column in (
        "projection",
        "events",
        "seconds",
        "rows only in the live table",
        "rows only in the rebuilt one",
        "",
    ):
        table.add_column(column)
    for report in reports:
        verdict = "[red]differed[/]" if report.missing or report.extra else "[green]the same[/]"
        said = f"{verdict}, {'swapped in' if report.swapped else 'only compared'}"
        cells = (report.name, report.events, f"{report.seconds:g}", report.missing, report.extra)
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells), said)
    Console().print(table)


@projections.command(name="list", epilog=examples("emprops projections list --data data/set --service credits"))
@data_option
@service_option
@json_option
def list_(data: Path, service: str, *, as_json: bool) -> None:
    """Show how far each read table is behind, in events and in seconds, and when its projector was last heard of."""

    async def go() -> list[Lag]:
        async with opened_store(data, service) as store:
            return await Projector(store, definition_of(service).projections).lag()

    lags = run(go())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(lags)).decode())
        return
    table = Table(box=None, pad_edge=False)
    for column in ("projection", "position", "events behind", "seconds behind", "heartbeat, seconds ago"):
        table.add_column(column)
    for lag in lags:
        table.add_row(lag.name, f"{lag.position:,}", str(lag.events), f"{lag.seconds:.3f}", f"{lag.heartbeat_age:.1f}")
    Console().print(table)
