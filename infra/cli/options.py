"""Shared by the commands: options, examples, error messages, and access to a set's file."""

import re
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from infra.cli.escaping import escape
from infra.embedded.set_file import SetFile, SetNotFoundError, find_set
from infra.embedded.set_lock import is_held

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
    """The end of a command's help: `@click.command(epilog=examples(...))`; `emprops` becomes `program()`."""
    runnable = [re.sub(r"\bemprops (?=[a-z])", lambda _: f"{program()} ", line) for line in lines]
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in runnable)])


def fail(sentence: str, *lines: str, code: int = 1) -> NoReturn:
    """Print what is wrong and what to do on standard error, with more `lines` below; exit with `code`."""
    for line in (f"emprops: {sentence}", *lines):
        click.echo(escape(line), err=True)
    raise SystemExit(code)


def command_line(*words: object) -> str:
    """A command of ours as it can be copied into a shell: `command_line("up", "--data", data)`."""
    return f"{program()} {shlex.join(map(str, words))}"


def program() -> str:
    """How to run this program again: `emprops` if PATH leads here, else the path it was run by, else `python -m`."""
    # Not resolved: the interpreter of a virtual environment is a link to one without our dependencies.
    interpreter = Path(sys.executable)
    on_path = shutil.which("emprops")
    if on_path and Path(on_path).resolve().parent == interpreter.parent.resolve():
        return "emprops"
    if Path(sys.argv[0]).name == "emprops":
        return shlex.quote(sys.argv[0])
    near = interpreter.relative_to(Path.cwd()) if interpreter.is_relative_to(Path.cwd()) else interpreter
    return f"{shlex.quote(str(near))} -m infra.cli"


def folder(data: Path) -> Path:
    return data.expanduser().resolve()


def open_running_set(data: Path) -> SetFile:
    """The set in a folder; ends the command if it is not running, so that none waits for servers that are down."""
    file = open_set(data)
    if not is_held(folder(data)):
        fail(not_running(data))
    return file


def not_running(data: Path) -> str:
    return f"The set in {data} is not running. Start it: {command_line('up', '--data', data)}"


def open_set(data: Path) -> SetFile:
    """The set in a folder, running or not; ends the command if there is none."""
    try:
        file = find_set(folder(data))
    except SetNotFoundError as error:
        fail(str(error))
    if file is None:
        home = folder(data)
        fail(f"There is no set in {home}. Start one: {command_line('up', '--data', home, '--port', 8080)}")
    return file
