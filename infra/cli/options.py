"""What several commands have in common: their options, their examples, and how they fail."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from infra.cli.shown import shown
from infra.embedded.set_file import SetFile, SetNotFoundError, load_set
from infra.embedded.takeover import is_held

Command = Callable[..., Any]


def data_option(command: Command) -> Command:
    return click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        required=True,
        help="The set's folder, as given to `emprops up`.",
    )(command)


def json_option(command: Command) -> Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(command)


def examples(*lines: str) -> str:
    """The end of a command's help: `@click.command(epilog=examples(...))`."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def fail(sentence: str, *lines: str, code: int = 1) -> NoReturn:
    """Say what is wrong, and what to do, on standard error, with more `lines` below; exit with `code`."""
    for line in (f"emprops: {sentence}", *lines):
        click.echo(shown(line), err=True)
    raise SystemExit(code)


def folder(data: Path) -> Path:
    return data.expanduser().resolve()


def open_running_set(data: Path) -> SetFile:
    """The set in a folder, which runs; ends the command when it doesn't, instead of waiting for servers in vain."""
    made = open_set(data)
    if not is_held(folder(data)):
        fail(f"The set in {data} is not running. Start it: emprops up --data {data}")
    return made


def open_set(data: Path) -> SetFile:
    """The set in a folder, running or not; ends the command when there is none."""
    try:
        return load_set(folder(data))
    except SetNotFoundError as error:
        fail(str(error))
