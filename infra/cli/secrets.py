"""`emprops secrets`."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator
from getpass import getpass, getuser
from pathlib import Path
from uuid import uuid4

import click
import msgspec
from rich.console import Console
from rich.table import Table

from infra.cli.escaping import cell, escape, escape_json
from infra.cli.history import UNAVAILABLE, definition_of, opened_store, run
from infra.cli.options import Command, examples, fail, json_option, open_running_set
from infra.embedded.wanted import HTTP_API, want
from services.generation.handlers.secrets import Secrets
from shared.eventstore import Context, EventStore


@click.group()
def secrets() -> None:
    """Keys and tokens that requests of fetch_api workflows name, as {{NAME}}: set, list, delete.

    Values are encrypted, and only the worker that calls the APIs gets them. The set must be running. Without --data, in
    a container of generation: DATABASE_URL and EMPROPS_SECRETS_KEY are in its environment.
    """


def set_option(command: Command) -> Command:
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="The set's folder, as given to `emprops up`.",
    )(command)


def _key(data: Path) -> str:
    return Path(open_running_set(data).secrets_key_file).read_text()


@contextlib.asynccontextmanager
async def _opened(data: Path | None) -> AsyncIterator[Secrets]:
    """Of the set in a folder, or of the service whose settings are in the environment."""
    if data is not None:
        async with opened_store(data, "generation") as store:
            yield Secrets(store, _key(data))
        return
    dsn, key = os.environ.get("DATABASE_URL"), os.environ.get("EMPROPS_SECRETS_KEY")
    if not dsn or not key:
        fail("give --data DIR, or run this where generation's DATABASE_URL and EMPROPS_SECRETS_KEY are set", code=2)
    try:
        async with EventStore.open(dsn, definition_of("generation").codec()) as store:
            yield Secrets(store, key)
    except UNAVAILABLE as error:
        fail(f"the database can't be reached: {escape(str(error))}")


def _context() -> Context:
    return Context(command_id=uuid4(), actor=f"operator:{getuser()}")


@secrets.command(
    name="set",
    epilog=examples(
        "echo a-key-of-your-api | emprops secrets set --data data/set IMAGE_SERVICE_KEY",
        "emprops secrets set --data data/set VIDEO_SERVICE_KEY --value a-key-of-at-least-8-characters",
    ),
)
@set_option
@click.argument("name")
@click.option("--value", help="The value; other users of this machine may see it. Default: standard input.")
def set_(data: Path | None, name: str, value: str | None) -> None:
    """Store a secret's value, which replaces the previous one. Steps that begin afterwards use it.

    Reads it from standard input, without the last line break, or asks for it on a terminal.
    """
    if value is None:
        value = getpass(f"Value of {name}: ") if sys.stdin.isatty() else sys.stdin.read().removesuffix("\n")

    async def store(text: str) -> None:
        async with _opened(data) as opened:
            await opened.set(name, text, _context())

    run(store(value))
    if data is not None:
        want(data, HTTP_API)
    click.echo(f"{name} is set")


@secrets.command(name="list", epilog=examples("emprops secrets list --data data/set"))
@set_option
@json_option
def list_(data: Path | None, *, as_json: bool) -> None:
    """Show the names of all secrets, and since when each has its value. No command shows a value."""

    async def read() -> list[dict[str, str]]:
        async with _opened(data) as opened:
            return [msgspec.to_builtins(entry) for entry in await opened.names()]

    entries = run(read())
    if as_json:
        click.echo(escape_json(entries, indent=0))
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "set at"):
        table.add_column(column)
    for entry in entries:
        table.add_row(cell(entry["name"]), cell(entry["set_at"]))
    Console().print(table if entries else "There are no secrets.")


@secrets.command(epilog=examples("emprops secrets delete --data data/set OLD_SERVICE_KEY"))
@set_option
@click.argument("name")
def delete(data: Path | None, name: str) -> None:
    """Delete a secret and its value: steps that need it fail with SECRET_MISSING."""

    async def remove() -> None:
        async with _opened(data) as opened:
            await opened.delete(name, _context())

    run(remove())
    click.echo(f"{name} is deleted")
