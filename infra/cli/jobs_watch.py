"""`emprops jobs watch`: a job's generations and steps as a live table."""

import asyncio
from pathlib import Path
from uuid import UUID

import aiohttp
import click
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from infra.cli.development_tokens import issue_token
from infra.cli.escaping import cell, escape, escape_json
from infra.cli.job_progress import JobProgress, StepProgress, wait_line
from infra.cli.options import examples, fail, json_option, open_running_set
from infra.demo.client import ApiError, Client

ANSWERS_WITHIN = 20.0
TOKEN_SECONDS = 24 * 3600
MAX_ROWS = 24
"""Generations that are shown: those that run, and the last ones that have ended."""
BAR_WIDTH = 16


@click.command(
    epilog=examples(
        "emprops jobs watch $JOB_ID --data data/set",
        "emprops jobs watch $JOB_ID --data data/set --json",
    )
)
@click.argument("job_id", type=click.UUID)
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="The set's folder, as given to `emprops up`.",
)
@click.option("--user", type=click.UUID, help="With --data: the job's user [default: the set's development user].")
@click.option("--url", help="A running edge, instead of a folder.")
@click.option("--token", help="With --url: the token of the job's user, or an operator's.")
@json_option
def watch(
    job_id: UUID, data: Path | None, user: UUID | None, url: str | None, token: str | None, *, as_json: bool
) -> None:
    """Show a job while it runs: a row for each generation, a column for each step, with progress.

    With --json, every event is a line, as it comes. Ends with the job; exits with 0 if it completed, else with 1.
    """
    if (url is None) != (token is None) or (data is None) == (url is None):
        fail("give --data DIR, or --url URL with --token T", code=2)
    if url is None or token is None:
        assert data is not None
        url, token = _access(data, user)
    progress = JobProgress()
    try:
        asyncio.run(_follow(url, token, job_id, progress, as_json=as_json))
    except ApiError as error:
        fail(f"the API refused the request: {error}")
    except (aiohttp.ClientError, TimeoutError) as error:
        fail(f"{url} can't be reached: {escape(str(error) or type(error).__name__)}")
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    raise SystemExit(0 if progress.status == "completed" else 1)


def _access(data: Path, user: UUID | None) -> tuple[str, str]:
    """The edge's address, and a token of the user from the set's own issuer."""
    file = open_running_set(data)
    token, _ = issue_token(file, user=user, ttl=TOKEN_SECONDS)
    return file.url, token


async def _follow(url: str, token: str, job_id: UUID, progress: JobProgress, *, as_json: bool) -> None:
    async with Client(url, token, answers_within=ANSWERS_WITHIN) as client:
        events = client.events(f"/jobs/{job_id}/events")
        if as_json:
            async for event in events:
                progress.note(event.event, event.data)
                line = {"id": event.id and int(event.id), "event": event.event, "data": event.data}
                click.echo(escape_json(line, indent=0))
            return
        job = await client.get(f"/jobs/{job_id}")
        progress.note("job_waiting", job)
        console = Console(soft_wrap=False)
        with Live(_table(job["name"], progress), console=console, refresh_per_second=8, transient=False) as live:
            async for event in events:
                progress.note(event.event, event.data)
                live.update(_table(job["name"], progress))


def _table(name: str, progress: JobProgress) -> Group:
    heading = f"{name}: {progress.status}, {progress.ended} of {progress.total} generations"
    table = Table()
    table.add_column("generation")
    steps = progress.step_ids
    for step_id in steps:
        table.add_column(cell(progress.workflows.get(step_id, str(step_id))))
    for gid, of_step in progress.last_changed(MAX_ROWS):
        table.add_row(gid[:8], *(_cell(of_step.get(step_id)) for step_id in steps))
    below = [cell(wait_line(progress.waiting), "yellow")] if progress.waiting else []
    below += [cell(progress.error, "red")] if progress.error else []
    return Group(cell(heading), table, *below)


def _cell(step: StepProgress | None) -> RenderableType:
    match step:
        case None:
            return Text("")
        case StepProgress(state="completed"):
            return Text("done", style="green")
        case StepProgress(state="failed", error=error):
            return Text(escape(error)[:40], style="red")
        case StepProgress(state="retrying", error=error):
            return Text(f"again after {escape(error)[:28]}", style="yellow")
        case StepProgress(share=share) if share > 0:
            return ProgressBar(total=1.0, completed=share, width=BAR_WIDTH)
    return Text("waiting", style="dim")
