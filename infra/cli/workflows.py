"""`emprops workflows`."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from infra.cli.api_access import call_api, server_options
from infra.cli.escaping import escape, escape_json
from infra.cli.options import examples, fail, json_option
from infra.cli.workflow_folders import WorkflowFolder, read_library
from infra.demo.client import ApiError, Client


@click.group()
def workflows() -> None:
    """The workflows that steps name: import a component library, list, show, test, pause and deprecate them.

    Give --data DIR of a set that runs here, or --url and an operator's --token.
    """


@workflows.command(
    name="import",
    epilog=examples(
        "emprops workflows import my-components --data data/set --dry-run",
        "emprops workflows import my-components --data data/set --json",
    ),
)
@click.argument("library", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR")
@server_options
@click.option("--dry-run", is_flag=True, help="Print what an import would do, and do nothing.")
@json_option
def import_(
    library: Path, data: Path | None, url: str | None, token: str | None, *, dry_run: bool, as_json: bool
) -> None:
    """Register each folder of a component library as a workflow of the folder's name.

    Prints for each whether it is added, unchanged, a new version, or refused, and why. Importing the same folder again
    changes nothing. Exits with 1 if one is refused.
    """
    try:
        folders = list(read_library(library))
    except ValueError as error:
        fail(str(error))
    if not folders:
        fail(f"{library} has no folder of a workflow. Each has a form.json, and a workflow.json, api.json or job.json")

    async def register_all(client: Client) -> list[dict[str, Any]]:
        return [await _register(client, folder, dry_run=dry_run) for folder in folders]

    reports = call_api(data, url, token, register_all, changes_nothing=dry_run)
    if as_json:
        click.echo(escape_json(reports))
    else:
        for report in reports:
            _print_report(report)
        counts = {outcome: sum(report["outcome"] == outcome for report in reports) for outcome in OUTCOMES}
        click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items() if count))
    if any(report["outcome"] == "refused" for report in reports):
        raise SystemExit(1)


OUTCOMES = ("added", "new version", "unchanged", "refused")


async def _register(client: Client, folder: WorkflowFolder, *, dry_run: bool) -> dict[str, Any]:
    refused = {"name": folder.name, "outcome": "refused", "version": None}
    if folder.definition is None:
        reasons = [{"pointer": fault.pointer, "message": fault.message} for fault in folder.faults]
        return {**refused, "reasons": reasons}
    body = {"name": folder.name, "definition": folder.definition, "dry_run": dry_run}
    try:
        answer = await client.call("POST", "/workflows", body)
    except ApiError as error:
        if error.code != "VALIDATION_FAILED":
            raise
        return {**refused, "reasons": error.body.get("details") or [{"pointer": "", "message": str(error)}]}
    return {name: answer[name] for name in ("name", "outcome", "version", "type", "notes")}


def _print_report(report: dict[str, Any]) -> None:
    version = f"  version {report['version']}  {report['type']}" if report["version"] else ""
    click.echo(f"{report['outcome']:<12}{escape(report['name'])}{version}")
    for reason in report.get("reasons", ()):
        click.echo(f"            {escape(reason['pointer'])}: {escape(reason['message'])}")
    for note in report.get("notes", ()):
        click.echo(f"            note: {escape(note)}")


@workflows.command(name="list", epilog=examples("emprops workflows list --data data/set"))
@server_options
@json_option
def list_(data: Path | None, url: str | None, token: str | None, *, as_json: bool) -> None:
    """List the workflows in their newest versions, with what a step costs."""
    all_workflows = call_api(data, url, token, lambda client: client.call("GET", "/workflows"))
    if as_json:
        click.echo(escape_json(all_workflows))
        return
    for workflow in all_workflows:
        cost = "by its function" if workflow["cost"] is None else f"{workflow['cost']} credits"
        ending = "  deprecated" * bool(workflow["deprecated"]) + "  paused" * workflow["is_paused"]
        click.echo(f"{escape(workflow['name']):<32}  version {workflow['version']}  {workflow['type']}  {cost}{ending}")


@workflows.command(epilog=examples("emprops workflows show sketch --data data/set"))
@click.argument("name")
@server_options
def show(name: str, data: Path | None, url: str | None, token: str | None) -> None:
    """Show one workflow as JSON: its definition, its form, its outputs, and the notes of its import."""
    workflow = call_api(data, url, token, lambda client: client.call("GET", _path(name)))
    click.echo(escape_json(workflow))


@workflows.command(epilog=examples("emprops workflows test sketch --value prompt=fox --data data/set"))
@click.argument("name")
@click.option(
    "--value", "values", multiple=True, metavar="FIELD=VALUE", help="A value in place of a test value; JSON or text."
)
@server_options
@json_option
def test(
    name: str, values: tuple[str, ...], data: Path | None, url: str | None, token: str | None, *, as_json: bool
) -> None:
    """Run one step of a workflow with its test values. The job is marked as a test, and not charged."""
    body = {"values": dict(_value(value) for value in values)}
    job = call_api(data, url, token, lambda client: client.call("POST", f"{_path(name)}/test", body))
    click.echo(json.dumps(job) if as_json else f"job {job['job_id']} {job['status']}")


@workflows.command(epilog=examples("emprops workflows deprecate hello --reason 'use sketch' --data data/set"))
@click.argument("name")
@click.option("--reason", default="An operator has deprecated it", show_default=True, help="Shown to its users.")
@server_options
def deprecate(name: str, reason: str, data: Path | None, url: str | None, token: str | None) -> None:
    """Mark a workflow as deprecated. Collections that use it still run."""
    call_api(data, url, token, lambda client: client.call("POST", f"{_path(name)}/deprecate", {"reason": reason}))
    click.echo(f"{name} is deprecated")


@workflows.command(epilog=examples("emprops workflows pause hello --reason 'its API is down' --data data/set"))
@click.argument("name")
@click.option("--reason", default="", help="Shown to its users.")
@server_options
def pause(name: str, reason: str, data: Path | None, url: str | None, token: str | None) -> None:
    """Send no further steps of a workflow to workers. Steps at workers continue; jobs that wait don't expire."""
    call_api(data, url, token, lambda client: client.call("POST", f"{_path(name)}/pause", {"reason": reason}))
    click.echo(f"{name} is paused")


@workflows.command(epilog=examples("emprops workflows unpause hello --data data/set"))
@click.argument("name")
@server_options
def unpause(name: str, data: Path | None, url: str | None, token: str | None) -> None:
    """Continue a paused workflow."""
    call_api(data, url, token, lambda client: client.call("POST", f"{_path(name)}/unpause"))
    click.echo(f"{name} continues")


def _path(name: str) -> str:
    return f"/workflows/{quote(name, safe='')}"


def _value(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign or not name:
        fail(f"--value {text} is not FIELD=VALUE", code=2)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
