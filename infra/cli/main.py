"""`emprops`: one command per module of this package, imported only when it is called, so that each starts fast."""

import importlib
from typing import NamedTuple

import click

from infra.cli.options import examples


class Subcommand(NamedTuple):
    module: str
    summary: str


COMMANDS = {
    "up": Subcommand("infra.cli.up", "Run the whole set in the foreground: servers, services, workers."),
    "demo": Subcommand(
        "infra.cli.demo", "Create, generate, download and pay for a collection, as an API client would."
    ),
    "status": Subcommand(
        "infra.cli.status", "Show each process, its readiness and what its followers have yet to process."
    ),
    "token": Subcommand("infra.cli.token", "Print a JWT from the set's own development issuer."),
    "workflows": Subcommand("infra.cli.workflows", "Import, list, show, test, pause and deprecate workflows."),
    "events": Subcommand("infra.cli.events", "Print the history of a service or of one stream."),
    "state": Subcommand("infra.cli.state", "Show a stream's state, now or at an earlier version or time."),
    "projections": Subcommand("infra.cli.projections", "Rebuild a service's read tables from its history."),
    "asyncapi": Subcommand("infra.cli.asyncapi", "Describe the events that a service publishes and consumes."),
    "jobs": Subcommand("infra.cli.jobs", "List, watch, cancel, resume and pause jobs."),
    "credits": Subcommand("infra.cli.credits", "Check that the ledger adds up."),
    "parked": Subcommand("infra.cli.parked", "List, retry or discard events that a consumer could not handle."),
    "rotate": Subcommand("infra.cli.rotate", "Replace keys and passwords of a stopped set."),
    "secrets": Subcommand("infra.cli.secrets", "Set, list and delete the keys with which workflows call APIs."),
    "pin": Subcommand("infra.cli.pin", "Have a remote pinning service keep a publish package on IPFS."),
    "verify-package": Subcommand("infra.cli.verify_package", "Check a publish package offline, down to its last byte."),
}
"""Each module holds a click command of its own name."""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        subcommand = COMMANDS.get(cmd_name)
        if subcommand is None:
            return None
        command = getattr(importlib.import_module(subcommand.module), cmd_name.replace("-", "_"))
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        with formatter.section("Commands"):
            formatter.write_dl([(name, subcommand.summary) for name, subcommand in COMMANDS.items()])


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples(
        "emprops up --data data/set --port 8080",
        "emprops demo --data data/set",
        "emprops status --data data/set",
    ),
)
@click.version_option(package_name="emprops")
def main() -> None:
    """The EmProps collection system on one machine."""
