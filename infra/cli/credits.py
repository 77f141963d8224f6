"""`emprops credits`."""

import json
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from infra.cli.escaping import escape
from infra.cli.history import definition_of, opened_store, run
from infra.cli.jobs_and_holds import differences
from infra.cli.options import data_option, examples, json_option
from shared.projections import Projector, rebuild
from shared.projections.comparison import Difference


@click.group()
def credits() -> None:  # noqa: A001 - the name of the command
    """The ledger of credits. The set must be running."""


@credits.command(
    epilog=examples("emprops credits reconcile --data data/set", "emprops credits reconcile --data data/set --json")
)
@data_option
@json_option
def reconcile(data: Path, *, as_json: bool) -> None:
    """Check that the ledger adds up: replay it, and compare it with its read tables, and its holds with the jobs.

    Prints every difference, and changes nothing. Exits with 0 if there is none, with 1 if there is one. What differs
    between credits and generation is looked at again for ten seconds, since an event may be on its way.
    """
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )

    async def go() -> dict[str, Any]:
        lines, events = list[dict[str, str]](), 0
        async with opened_store(data, "credits") as store, opened_store(data, "generation") as generation:
            projections = definition_of("credits").projections
            await Projector(store, projections).prepare()
            for projection in projections:
                task = bar.add_task(projection.table, total=None)
                result = await rebuild(
                    store,
                    projection,
                    swap=False,
                    fresh=True,
                    progress=lambda done, goal, task=task: bar.update(task, completed=done, total=goal),  # type: ignore[misc]  # a task
                    differing=lambda row: lines.append(
                        {"table": row.table, "key": _key(row), "difference": _what(row)}
                    ),
                )
                events = max(events, result.position)
                if result.not_compared:
                    lines.append({"table": projection.table, "key": "", "difference": result.not_compared})
            task = bar.add_task("jobs and holds", total=None)
            jobs = await differences(generation, store, lambda count: bar.update(task, completed=count))
            lines += [{"job": str(job_id), "difference": sentence} for job_id, sentence in jobs.items()]
        return {"position": events, "differences": lines}

    with bar:
        report = run(go())
    if as_json:
        click.echo(json.dumps(report))
    else:
        for line in report["differences"]:
            where = f"job {line['job']}" if "job" in line else f"{line['table']} {line['key']}"
            click.echo(escape(f"{where}: {line['difference']}"))
        count = len(report["differences"])
        click.echo(f"{count or 'no'} difference{'' if count == 1 else 's'}, up to position {report['position']}")
    raise SystemExit(1 if report["differences"] else 0)


def _key(row: Difference) -> str:
    return " ".join(map(str, row.key))


def _what(row: Difference) -> str:
    if not row.in_rebuilt:
        return "the read table has a row that does not follow from the history"
    if not row.in_live:
        return "the read table lacks the row"
    return "the row has other values than follow from the history"
