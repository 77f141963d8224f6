"""`emprops jobs cancel`, `pause` and `unpause`."""

from pathlib import Path
from typing import Any
from uuid import UUID

import click

from infra.cli.api_access import amount, call_api, server_options
from infra.cli.escaping import escape_json
from infra.cli.options import examples, json_option


@click.command(epilog=examples("emprops jobs cancel $JOB_ID --data data/set"))
@click.argument("job_id", type=click.UUID)
@server_options
@json_option
def cancel(job_id: UUID, data: Path | None, url: str | None, token: str | None, *, as_json: bool) -> None:
    """Stop a job of any user. Completed generations are kept and charged; the rest of its credits is released.

    A cancelled job can be resumed.
    """
    job = call_api(data, url, token, lambda client: client.call("POST", f"/jobs/{job_id}/cancel", {}))
    if as_json:
        click.echo(escape_json(job, indent=0))
    elif job["status"] == "cancelled":
        click.echo(
            f"job {job_id} is cancelled: {job['completed']} generations have completed, {job['cancelled']} are"
            f" cancelled; {amount(job['captured'])} credits are charged, {amount(job['released'])} released"
        )
    else:
        click.echo(f"job {job_id} is being cancelled")


@click.command(epilog=examples("emprops jobs pause $JOB_ID --reason 'a worker is being replaced' --data data/set"))
@click.argument("job_id", type=click.UUID)
@click.option("--reason", default="", help="Shown to its user.")
@server_options
@json_option
def pause(job_id: UUID, reason: str, data: Path | None, url: str | None, token: str | None, *, as_json: bool) -> None:
    """Send no further steps of a job to workers. Steps at workers continue. A paused job does not expire."""
    body = {"reason": reason}
    job = call_api(data, url, token, lambda client: client.call("POST", f"/jobs/{job_id}/pause", body))
    _print(job, "is paused", as_json=as_json)


@click.command(epilog=examples("emprops jobs unpause $JOB_ID --data data/set"))
@click.argument("job_id", type=click.UUID)
@server_options
@json_option
def unpause(job_id: UUID, data: Path | None, url: str | None, token: str | None, *, as_json: bool) -> None:
    """Continue a paused job."""
    job = call_api(data, url, token, lambda client: client.call("POST", f"/jobs/{job_id}/unpause"))
    _print(job, "continues", as_json=as_json)


def _print(job: Any, now: str, *, as_json: bool) -> None:
    click.echo(escape_json(job, indent=0) if as_json else f"job {job['job_id']} {now}")
