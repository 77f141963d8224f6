"""`emprops jobs list`, and the choice of jobs that it shares with a batch of resumes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import click

from infra.cli.api_access import amount, call_api, server_options
from infra.cli.escaping import escape, escape_json
from infra.cli.job_progress import wait_line
from infra.cli.options import examples, json_option
from infra.demo.client import Client

STATUSES = (
    *("pending", "processing", "completed", "partially_completed", "failed", "rejected", "cancelled", "expired"),
)
UNITS = {"m": "minutes", "h": "hours", "d": "days"}
PAGE = 100


class Since(click.ParamType[datetime]):
    """`30m`, `24h`, `7d`, or a date or time in ISO 8601, which is in UTC if it has no offset."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        unit = UNITS.get(value[-1:])
        try:
            if unit is not None and value[:-1].isdecimal():
                return datetime.now(UTC) - timedelta(**{unit: int(value[:-1])})
            time = datetime.fromisoformat(value)
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is not a time such as 24h, 7d, 2026-11-27 or 2026-11-27T08:30:00Z", param, ctx)
        return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


@click.command(
    name="list",
    epilog=examples(
        "emprops jobs list --data data/set",
        "emprops jobs list --status failed --since 24h --data data/set --json",
    ),
)
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs in this status.")
@click.option("--collection", type=click.UUID, help="Only jobs of this collection.")
@click.option("--since", type=Since(), help="Only jobs requested since then: 30m, 24h, 7d, or a date or time.")
@click.option("--limit", type=click.IntRange(1), default=50, show_default=True, help="Number of jobs, newest first.")
@server_options
@json_option
def list_(
    status: str | None,
    collection: UUID | None,
    since: datetime | None,
    limit: int,
    data: Path | None,
    url: str | None,
    token: str | None,
    *,
    as_json: bool,
) -> None:
    """List the jobs of all users, newest first, with what they wait for."""

    async def read(client: Client) -> list[Any]:
        return await read_jobs(client, status=status, collection=collection, since=since, limit=limit)

    jobs = call_api(data, url, token, read)
    if as_json:
        click.echo(escape_json(jobs, indent=0))
        return
    for job in jobs:
        counts = job["generation_counts"]
        completed, charged = f"{counts['completed']}/{sum(counts.values())}", amount(job["credits"]["captured"])
        wait = f"  {wait_line(job['waiting_for'])}" if job["waiting_for"] else ""
        click.echo(
            f"{job['id']}  {job['created_at'][:19]}  {job['status']:<19}  {completed:>11} completed"
            f"  {charged:>8} credits  {escape(job['name'])}{escape(wait)}"
        )
    if not jobs:
        click.echo("There are no such jobs.")


async def read_jobs(
    client: Client, *, status: str | None, collection: UUID | None, since: datetime | None, limit: int | None = None
) -> list[Any]:
    """The jobs of all users that match, newest first."""
    filters = {"status": status, "collection_id": collection, "since": since and since.isoformat()}
    query = {"all_users": "true", "limit": min(limit or PAGE, PAGE)}
    query |= {name: value for name, value in filters.items() if value is not None}
    jobs: list[Any] = []
    async for job in client.items(f"/jobs?{urlencode(query)}"):
        jobs.append(job)
        if len(jobs) == limit:
            break
    return jobs
