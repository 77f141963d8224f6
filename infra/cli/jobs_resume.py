"""`emprops jobs resume`: one job, or all that ended in a status since some time."""

from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from infra.cli.api_access import amount, call_api, server_options
from infra.cli.escaping import escape, escape_json
from infra.cli.jobs_list import Since, read_jobs
from infra.cli.options import examples, fail, json_option
from infra.demo.client import ApiError, Client

RESUMABLE = ("failed", "partially_completed", "cancelled", "expired")


@click.command(
    epilog=examples(
        "emprops jobs resume $JOB_ID --data data/set",
        "emprops jobs resume $JOB_ID --from start --data data/set",
        "emprops jobs resume --status failed --since 24h --dry-run --data data/set",
        "emprops jobs resume --status expired --since 7d --data data/set --json",
    )
)
@click.argument("job_id", type=click.UUID, required=False)
@click.option("--status", type=click.Choice(RESUMABLE), help="Instead of a job: all jobs that ended in this status.")
@click.option("--since", type=Since(), help="With --status: jobs requested since then: 24h, 7d, or a date or time.")
@click.option("--collection", type=click.UUID, help="With --status: only jobs of this collection.")
@click.option("--from", "from_", default="last_completed", show_default=True, help="Or start, or a step's id.")
@click.option("--dry-run", is_flag=True, help="Print what would run again, and its price; resume nothing.")
@server_options
@json_option
def resume(
    job_id: UUID | None,
    status: str | None,
    since: datetime | None,
    collection: UUID | None,
    from_: str,
    data: Path | None,
    url: str | None,
    token: str | None,
    *,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run again what has not completed of a job of any user, or of all jobs that ended in a status.

    Credits for it are held from each job's user; completed generations are not charged again. Exits with 1 if a job is
    refused; the others are resumed.
    """
    if (job_id is None) == (status is None):
        fail("give the id of a job, or --status with --since", code=2)
    if (status is None) != (since is None) or (status is None and collection is not None):
        fail("--status and --since go together; --collection is for them only", code=2)

    async def resume_all(client: Client) -> list[Any]:
        job_ids = [str(job_id)]
        if job_id is None:
            jobs = await read_jobs(client, status=status, collection=collection, since=since)
            job_ids = [job["id"] for job in jobs]
        reports = []
        for number, resumed_id in enumerate(job_ids, start=1):
            report = await _resume(client, resumed_id, from_, dry_run=dry_run)
            reports.append(report)
            if not as_json and job_id is None:
                click.echo(f"{number}/{len(job_ids)}  {_line(report)}")
        return reports

    _print(call_api(data, url, token, resume_all, changes_nothing=dry_run), is_batch=job_id is None, as_json=as_json)


def _print(reports: list[Any], *, is_batch: bool, as_json: bool) -> None:
    """The summary; ends the command if a job was refused."""
    summary = _summary(reports)
    if as_json:
        click.echo(escape_json({"jobs": reports, "summary": summary}, indent=0))
    elif is_batch:
        counts = [f"{summary[outcome]} {outcome}" for outcome in OUTCOMES if summary[outcome]]
        click.echo(f"{', '.join(counts) or 'no jobs'}, for {amount(summary['quoted'])} credits")
    elif summary["refused"]:
        fail(f"{reports[0]['message']} ({reports[0]['code']})")
    else:
        click.echo(_line(reports[0]))
    if summary["refused"]:
        raise SystemExit(1)


OUTCOMES = ("would be resumed", "resumed", "refused")


async def _resume(client: Client, job_id: str, from_: str, *, dry_run: bool) -> dict[str, Any]:
    """Raises ApiError where the operator may not do this at all."""
    try:
        answer = await client.call("POST", f"/jobs/{job_id}/resume", {"from": from_, "dry_run": dry_run})
    except ApiError as error:
        if error.status in (401, 403) or error.status >= 500:
            raise
        details = [f"{detail['pointer']}: {detail['message']}" for detail in error.body.get("details") or []]
        message = "; ".join([error.body.get("detail") or str(error), *details])
        return {"job_id": job_id, "outcome": "refused", "code": error.code, "message": message}
    members = {name: answer[name] for name in ("job_id", "status", "round", "generations", "quoted")}
    return {"outcome": "would be resumed" if dry_run else "resumed", **members}


def _line(report: dict[str, Any]) -> str:
    if report["outcome"] == "refused":
        return f"job {report['job_id']} is refused: {escape(report['message'])} ({escape(report['code'])})"
    return f"job {report['job_id']}: {report['generations']} generations for {amount(report['quoted'])} credits"


def _summary(reports: list[Any]) -> dict[str, Any]:
    counts = {outcome: sum(report["outcome"] == outcome for report in reports) for outcome in OUTCOMES}
    return {**counts, "quoted": round(sum(report.get("quoted", 0) for report in reports), 6)}
