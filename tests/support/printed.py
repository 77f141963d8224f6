"""The commands that people are told to run: in README.md, in docs/ and in the examples of `--help`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from infra.cli.main import main
from infra.cli.options import program
from tests.support.running_set import ROOT

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


class Block(NamedTuple):
    """A fenced block of shell commands, and where it begins."""

    file: str
    line: int
    commands: str


def documents() -> list[Path]:
    """README.md first: the others use the variables that it sets."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "docs").glob("reference/*.md"))]


def shell_blocks(file: Path) -> list[Block]:
    text = file.read_text()
    return [
        Block(file.name, text.count("\n", 0, found.start()) + 1, found[2])
        for found in FENCE.finditer(text)
        if found[1] in {"sh", "bash", "console", "shell"}
    ]


def spans(file: Path) -> Iterator[str]:
    """Code within sentences and tables."""
    for found in SPAN.finditer(FENCE.sub("", file.read_text())):
        yield found[1].replace("\\|", "|")


def commands(command: click.Command = main, words: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command of the command line, groups too, by its words."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, f"{words} {name}".strip())


def help_examples() -> list[str]:
    """The lines of all `--help`s, with `emprops` for the program."""
    lines = []
    for _, command in commands():
        _, _, shown = (command.epilog or "").partition("Examples:\n")
        lines += [line.strip().replace(program(), "emprops") for line in shown.splitlines()]
    return lines
