"""`emprops asyncapi`."""

from importlib.metadata import version
from typing import Any

import click
import msgspec
import yaml
from rich.console import Console
from rich.table import Table

from infra.cli.history import SERVICES, definition_of
from infra.cli.options import examples, json_option
from shared.contracts.consumers import CONSUMERS
from shared.messaging.asyncapi import asyncapi as describe


@click.command(
    epilog=examples(
        "emprops asyncapi --service credits",
        "emprops asyncapi --service generation --yaml > generation.asyncapi.yaml",
        "emprops asyncapi --service storage --json > storage.asyncapi.json",
    )
)
@click.option("--service", type=click.Choice(SERVICES), required=True, help="The service to describe.")
@json_option
@click.option("--yaml", "as_yaml", is_flag=True, help="Print the document as YAML.")
def asyncapi(service: str, *, as_json: bool, as_yaml: bool) -> None:
    """Describe the events that a service publishes, and those that it consumes. Needs no running set.

    With --json or --yaml, the whole AsyncAPI 3.0 document, with the schema of every event.
    """
    if as_json and as_yaml:
        raise click.UsageError("--json or --yaml, not both")
    document = document_of(service)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2))
    elif as_yaml:
        click.echo(yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120), nl=False)
    else:
        Console().print(_table(service, document))


def document_of(service: str) -> dict[str, Any]:
    """The service's AsyncAPI document as plain JSON values, channels and operations sorted by name."""
    consumers = CONSUMERS.get(service, ())
    document = describe(service, definition_of(service).events, consumers, version=version("emprops"))
    # FastStream lists them in the order of a set, which differs from run to run.
    return {**document, **{part: dict(sorted(document[part].items())) for part in ("channels", "operations")}}


def _table(service: str, document: dict[str, Any]) -> Table:
    table = Table(title=f"Events of {service}", box=None, header_style="bold", title_justify="left")
    table.add_column("")
    table.add_column("event", no_wrap=True)
    table.add_column("subject", overflow="fold")
    table.add_column("consumer")
    # Published events before consumed ones.
    for name, operation in sorted(document["operations"].items(), key=lambda item: item[1]["action"] != "send"):
        [message] = document["channels"][name]["messages"]
        sends = operation["action"] == "send"
        address = document["channels"][name]["address"]
        table.add_row("out" if sends else "in", message, address, "" if sends else name.removesuffix(f".{message}"))
    return table
