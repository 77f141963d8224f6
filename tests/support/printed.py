"""The commands that are documented: in README.md, in docs/ and in the examples of `--help`."""

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
    """A fenced block of shell commands, and the line where it begins."""

    file: str
    line: int
    commands: str


def documents() -> list[Path]:
    """README.md first: the others use the variables that it sets. Tutorials come next, then the rest of docs/."""
    docs = ROOT / "docs"
    tutorials = sorted((docs / "tutorial").glob("*.md"))
    others = [path for path in sorted(docs.rglob("*.md")) if path not in tutorials and "decisions" not in path.parts]
    return [ROOT / "README.md", *tutorials, *others]


def shell_blocks(file: Path) -> list[Block]:
    text = file.read_text()
    return [
        Block(file.name, text.count("\n", 0, fence.start()) + 1, fence[2])
        for fence in FENCE.finditer(text)
        if fence[1] in {"sh", "bash", "console", "shell"}
    ]


def spans(file: Path) -> Iterator[str]:
    """Inline code, in sentences and tables."""
    for span in SPAN.finditer(FENCE.sub("", file.read_text())):
        yield span[1].replace("\\|", "|")


def commands(command: click.Command = main, words: str = "") -> Iterator[tuple[str, click.Command]]:
    """Every command of the command line, groups too, by its words."""
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            subcommand = command.get_command(context, name)
            assert subcommand is not None
            yield from commands(subcommand, f"{words} {name}".strip())


def help_examples() -> list[str]:
    """The lines of all `--help`s, with `emprops` for the program."""
    lines = []
    for _, command in commands():
        _, _, examples = (command.epilog or "").partition("Examples:\n")
        lines += [line.strip().replace(program(), "emprops") for line in examples.splitlines()]
    return lines
