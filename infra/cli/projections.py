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

from infra.cli.escaping import escape, escape_json
from infra.cli.history import definition_of, opened_store, run, service_option
from infra.cli.options import command_line, data_option, examples, fail, json_option
from shared.eventstore import EventStore
from shared.projections import Lag, Projection, Projector, Stuck, skips, table_usage
from shared.projections import rebuild as rebuild_table
from shared.projections.skips import Skip
from shared.projections.table_usage import TableUsage


@click.group()
def projections() -> None:
    """Read tables: list them, rebuild them from history, skip an event that one can't handle.

    The set must be running.
    """


class Report(msgspec.Struct):
    """`missing`: rows only in the live table; `extra`: rows only in the rebuilt one. Both 0: the tables are the same.

    `not_compared`: why the tables were not compared. `resumed_at`: the position at which an unfinished rebuild resumed.
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

    The service keeps running. Ctrl-C, at any point, leaves the live table unchanged; the next rebuild resumes where
    this one stopped. Exits with 1 if rows differed, or could not be compared.
    """
    all_projections = definition_of(service).projections
    selection = [projection for projection in all_projections if name in {None, projection.name, projection.table}]
    if not selection:
        names = ", ".join(projection.name for projection in all_projections)
        fail(f"{service} has no projection {name}; it has {names}", code=2)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        # When stderr is a file, the bar is one line, printed at the end, after any error message.
        disable=not sys.stderr.isatty(),
    )

    async def go() -> list[Report]:
        async with opened_store(data, service) as store:
            await Projector(store, all_projections).prepare()
            return [await _rebuild(store, projection, bar, swap=not check, fresh=fresh) for projection in selection]

    try:
        with bar:
            reports = run(go())
    except Stuck as stuck:
        at = stuck.event.position if stuck.event else "POSITION"
        table = ("--data", data, "--service", service, "--table", stuck.table.removesuffix("__rebuild"))
        skip_it = command_line("projections", "skip", *table, "--position", at, "--reason", "REASON")
        fail(f"{stuck}. To skip the event: {skip_it}")
    if as_json:
        _print_json(reports)
    else:
        _show(reports)
    differs = any(report.missing or report.extra or report.not_compared for report in reports)
    raise SystemExit(1 if differs else 0)


async def _rebuild(store: EventStore, projection: Projection[Any], bar: Progress, *, swap: bool, fresh: bool) -> Report:
    task: TaskID = bar.add_task(projection.table, total=None)
    began = time.monotonic()
    result = await rebuild_table(
        store,
        projection,
        swap=swap,
        fresh=fresh,
        progress=lambda position, goal: bar.update(task, completed=position, total=goal),
        compared=lambda rows: bar.update(task, description=f"{projection.table}, {rows:,} rows compared"),
    )
    bar.update(task, completed=result.position, total=result.position)
    return Report(
        name=projection.table,
        events=result.events,
        position=result.position,
        missing=result.missing,
        extra=result.extra,
        not_compared=result.not_compared,
        resumed_at=result.resumed_at,
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
        outcome = f"{verdict}, {'swapped in' if report.swapped else 'only compared'}"
        cells = (report.name, report.events, f"{report.seconds:g}", report.missing, report.extra)
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else cell for cell in cells), outcome)
    Console().print(table)


class TableList(msgspec.Struct, frozen=True):
    tables: list[Lag]
    skipped: list[Skip]


@projections.command(name="list", epilog=examples("emprops projections list --data data/set --service credits"))
@data_option
@service_option
@json_option
def list_(data: Path, service: str, *, as_json: bool) -> None:
    """Show how far each read table is behind, in events and in seconds, what it is stuck on, and what was skipped."""

    async def go() -> TableList:
        async with opened_store(data, service) as store:
            projector = Projector(store, definition_of(service).projections)
            await projector.prepare()
            tables = await projector.lag()
            return TableList(tables, await skips.list_skips(store, [table.name for table in tables]))

    table_list = run(go())
    if as_json:
        _print_json(table_list)
        return
    table = _table("table", "status", "position", "events behind", "seconds behind", "skipped", "stuck on")
    for lag in table_list.tables:
        stuck = f"{lag.event or ''} {lag.error or ''}".strip()
        table.add_row(
            *(lag.name, lag.status, f"{lag.position:,}", str(lag.events), f"{lag.seconds:.3f}", str(lag.skipped)),
            _plain(stuck),
        )
    Console().print(table)
    if table_list.skipped:
        table = _table("skipped in", "event", "error", "reason", "by", "at")
        for skip in table_list.skipped:
            cells = (skip.table, skip.event, skip.error, skip.reason, skip.actor, f"{skip.skipped_at:%Y-%m-%d %H:%M}")
            table.add_row(*map(_plain, cells))
        Console().print(table)


@projections.command(
    epilog=examples(
        "emprops projections skip --data data/set --service credits --table entries_v2 --position 17"
        ' --reason "an amount that no ledger takes, see ticket 12"'
    )
)
@data_option
@service_option
@click.option("--table", required=True, help="Its name in `emprops projections list`.")
@click.option(
    "--position", required=True, type=click.IntRange(min=1), help="Position of the event that it is stuck on."
)
@click.option("--reason", required=True, help="Why the event may be skipped; stored permanently.")
@json_option
def skip(data: Path, service: str, table: str, position: int, reason: str, *, as_json: bool) -> None:
    """Skip an event in a read table, now and whenever the table is rebuilt.

    The service's projector continues within seconds. The event stays in history, and other tables apply it.
    """
    if not reason.strip():
        fail("--reason is empty: say why the event may be skipped", code=2)

    async def go() -> Skip:
        async with opened_store(data, service) as store:
            await Projector(store, ()).prepare()
            return await skips.skip(store, table, position, reason=reason, actor=f"operator:{getuser()}")

    recorded = run(go())
    if as_json:
        _print_json(recorded)
    else:
        list_tables = command_line("projections", "list", "--data", data, "--service", service)
        click.echo(f"{table} skips the event at {position}. To see its progress: {list_tables}")


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
    default=table_usage.GRACE_DAYS,
    show_default=True,
    help="A table is unused if no process has used it for this many days.",
)
@json_option
def unused(data: Path, service: str, *, drop: bool, days: float, as_json: bool) -> None:
    """Show which releases use which read tables; with --drop, drop the versions that none uses any more.

    The service drops them automatically after the default time.
    """

    async def go() -> tuple[list[TableUsage], list[str], list[str]]:
        async with opened_store(data, service) as store:
            await Projector(store, ()).prepare()
            uses, old = await table_usage.list_usage(store), await table_usage.list_unused(store, days)
            return uses, old, await table_usage.drop_unused(store, days) if drop else []

    uses, old, dropped = run(go())
    if as_json:
        _print_json({"tables": uses, "unused": old, "dropped": dropped})
        return
    table = _table("table", "position", "last used", "by", "")
    for use in uses:
        verdict = "dropped" if use.name in dropped else "unused" if use.name in old else ""
        cells = (use.name, f"{use.position:,}", f"{use.seen_at:%Y-%m-%d %H:%M}", use.users, verdict)
        table.add_row(*map(_plain, cells))
    Console().print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column)
    return table


def _plain(text: str) -> Text:
    """A text from an event or an error, without control characters and markup."""
    return Text(escape(text))


def _print_json(value: object) -> None:
    click.echo(escape_json(value))
