"""`emprops projections`."""

import sys
import time
from getpass import getuser
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from infra.cli.history import definition_of, opened_store, run, service_option
from infra.cli.options import command_line, data_option, examples, fail, json_option
from infra.cli.shown import json_shown, shown
from shared.eventstore import EventStore
from shared.projections import Lag, Projection, Projector, Stuck, skips, users
from shared.projections import rebuild as rebuild_table
from shared.projections.skips import Skip
from shared.projections.users import TableUse


@click.group()
def projections() -> None:
    """Read tables: list them, rebuild them from history, skip an event that one can't handle.

    The set must be running.
    """


class Report(msgspec.Struct):
    """`missing` and `extra`: rows that only the live, or only the rebuilt table had. Both are 0 when all is well.

    `not_compared` says why nothing is known of that. `resumed_at`: where an unfinished rebuild was gone on with.
    """

    name: str
    events: int
    position: int
    missing: int
    extra: int
    not_compared: str | None
    resumed_at: int
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
@click.option("--fresh", is_flag=True, help="Begin at position 0, even when an earlier rebuild was not finished.")
@json_option
def rebuild(data: Path, service: str, name: str | None, *, check: bool, fresh: bool, as_json: bool) -> None:
    """Build a read table (or all of a service's) from position 0, compare it with the live one, and swap it in.

    The service goes on meanwhile. After Ctrl-C, at any point, the live table is as it was; the next rebuild goes on
    where this one stopped. Exits with 1 when rows differed, or could not be compared.
    """
    every = definition_of(service).projections
    chosen = [each for each in every if name in {None, each.name, each.table}]
    if not chosen:
        fail(f"{service} has no projection {name}; it has {', '.join(each.name for each in every)}", code=2)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        # Elsewhere it is one line, which would come after what went wrong.
        disable=not sys.stderr.isatty(),
    )

    async def go() -> list[Report]:
        async with opened_store(data, service) as store:
            await Projector(store, every).prepare()
            return [await _one(store, each, bar, swap=not check, fresh=fresh) for each in chosen]

    try:
        with bar:
            reports = run(go())
    except Stuck as stuck:
        at = stuck.event.position if stuck.event else "POSITION"
        table = ("--data", data, "--service", service, "--table", stuck.table.removesuffix("__rebuild"))
        leave_out = command_line("projections", "skip", *table, "--position", at, "--reason", "REASON")
        fail(f"{stuck}. To leave it out: {leave_out}")
    if as_json:
        _print_json(reports)
    else:
        _show(reports)
    raise SystemExit(1 if any(each.missing or each.extra or each.not_compared for each in reports) else 0)


async def _one(store: EventStore, projection: Projection[Any], bar: Progress, *, swap: bool, fresh: bool) -> Report:
    task: TaskID = bar.add_task(projection.table, total=None)
    began = time.monotonic()
    done = await rebuild_table(
        store,
        projection,
        swap=swap,
        fresh=fresh,
        progress=lambda position, goal: bar.update(task, completed=position, total=goal),
        compared=lambda rows: bar.update(task, description=f"{projection.table}, {rows:,} rows compared"),
    )
    bar.update(task, completed=done.position, total=done.position)
    return Report(
        name=projection.table,
        events=done.events,
        position=done.position,
        missing=done.missing,
        extra=done.extra,
        not_compared=done.not_compared,
        resumed_at=done.resumed_at,
        seconds=round(time.monotonic() - began, 3),
        swapped=swap,
    )


def _show(reports: list[Report]) -> None:
    table = _table("table", "events", "seconds", "rows only in the live table", "rows only in the rebuilt one", "")
    for report in reports:
        if report.not_compared:
            verdict = f"[yellow]not compared[/]: {report.not_compared}"
        else:
            verdict = "[red]differed[/]" if report.missing or report.extra else "[green]the same[/]"
        said = f"{verdict}, {'swapped in' if report.swapped else 'only compared'}"
        cells = (report.name, report.events, f"{report.seconds:g}", report.missing, report.extra)
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells), said)
    Console().print(table)


class Listed(msgspec.Struct, frozen=True):
    tables: list[Lag]
    skipped: list[Skip]


@projections.command(name="list", epilog=examples("emprops projections list --data data/set --service credits"))
@data_option
@service_option
@json_option
def list_(data: Path, service: str, *, as_json: bool) -> None:
    """Show how far each read table is behind, in events and in seconds, what it is stuck on, and what was skipped."""

    async def go() -> Listed:
        async with opened_store(data, service) as store:
            projector = Projector(store, definition_of(service).projections)
            await projector.prepare()
            tables = await projector.lag()
            return Listed(tables, await skips.skipped(store, [each.name for each in tables]))

    listed = run(go())
    if as_json:
        _print_json(listed)
        return
    table = _table("table", "status", "position", "events behind", "seconds behind", "skipped", "stuck on")
    for lag in listed.tables:
        stuck = f"{lag.event or ''} {lag.error or ''}".strip()
        table.add_row(
            *(lag.name, lag.status, f"{lag.position:,}", str(lag.events), f"{lag.seconds:.3f}", str(lag.skipped)),
            _plain(stuck),
        )
    Console().print(table)
    if listed.skipped:
        table = _table("skipped in", "event", "error", "reason", "by", "at")
        for each in listed.skipped:
            cells = (each.table, each.event, each.error, each.reason, each.actor, f"{each.skipped_at:%Y-%m-%d %H:%M}")
            table.add_row(*map(_plain, cells))
        Console().print(table)


@projections.command(
    epilog=examples(
        "emprops projections skip --data data/set --service credits --table entries_v1 --position 17"
        ' --reason "an amount that no ledger takes, see ticket 12"'
    )
)
@data_option
@service_option
@click.option("--table", required=True, help="As `emprops projections list` names it.")
@click.option("--position", required=True, type=click.IntRange(min=1), help="The event that it is stuck on.")
@click.option("--reason", required=True, help="Why it may be left out; kept permanently.")
@json_option
def skip(data: Path, service: str, table: str, position: int, reason: str, *, as_json: bool) -> None:
    """Leave an event out of a read table, now and whenever the table is rebuilt.

    The service's projector goes on within seconds. The event itself stays in history; other tables take it in.
    """
    if not reason.strip():
        fail("--reason says why the event may be left out; it can't be empty", code=2)

    async def go() -> Skip:
        async with opened_store(data, service) as store:
            await Projector(store, ()).prepare()
            return await skips.skip(store, table, position, reason=reason, actor=f"operator:{getuser()}")

    done = run(go())
    if as_json:
        _print_json(done)
    else:
        listed = command_line("projections", "list", "--data", data, "--service", service)
        click.echo(f"{table} goes on without the event at {position}. See how far it is: {listed}")


@projections.command(
    epilog=examples(
        "emprops projections unused --data data/set --service credits",
        "emprops projections unused --data data/set --service credits --drop --days 1",
    )
)
@data_option
@service_option
@click.option("--drop", is_flag=True, help="Drop them.")
@click.option(
    "--days",
    type=click.FloatRange(min=0),
    default=users.GRACE_DAYS,
    show_default=True,
    help="For how long no process may have used a table.",
)
@json_option
def unused(data: Path, service: str, *, drop: bool, days: float, as_json: bool) -> None:
    """Show which releases use which read tables; drop the versions that none uses any more.

    The service does the latter by itself after the default time.
    """

    async def go() -> tuple[list[TableUse], list[str], list[str]]:
        async with opened_store(data, service) as store:
            await Projector(store, ()).prepare()
            every, old = await users.uses(store), await users.unused(store, days)
            return every, old, await users.drop_unused(store, days) if drop else []

    every, old, dropped = run(go())
    if as_json:
        _print_json({"tables": every, "unused": old, "dropped": dropped})
        return
    table = _table("table", "position", "last used", "by", "")
    for each in every:
        verdict = "dropped" if each.name in dropped else "unused" if each.name in old else ""
        cells = (each.name, f"{each.position:,}", f"{each.seen_at:%Y-%m-%d %H:%M}", each.users, verdict)
        table.add_row(*map(_plain, cells))
    Console().print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _plain(text: str) -> Text:
    """What comes from events and errors, with nothing that a terminal would obey."""
    return Text(shown(text))


def _print_json(value: object) -> None:
    click.echo(json_shown(value))
