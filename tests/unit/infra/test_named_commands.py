"""Commands that the documents name are commands: of the command line with their options, of the Makefile, of Python."""

import importlib.util
import re
import shlex
from pathlib import Path

import click
import pytest

from infra.cli.main import main
from tests.support.printed import commands, documents, spans
from tests.support.running_set import ROOT

FOLDERS = ("services", "shared", "workers", "infra", "tests")
EVERYWHERE = [
    *documents(),
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs" / "explanation" / "decisions").glob("*.md")),
    *sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.md")),
]
A_UUID = "0d9f6c1e-0000-0000-0000-000000000000"
MEANT = {"DIR": "data/set", "S": "credits", "N": "0", "ID": A_UUID, "STREAM": A_UUID, "USER_ID": A_UUID}
"""What a reader puts in the place of these words."""


def on_history(command: click.Command) -> bool:
    return {"data", "service"} <= {parameter.name for parameter in command.params}


def assert_is_a_command(words: list[str]) -> None:
    """Without options and arguments it is a name; with some, it has all that it needs."""
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        subcommand = command.get_command(click.Context(command), name)
        assert subcommand is not None, f"there is no command {name}"
        command = subcommand
    if words and not isinstance(command, click.Group):
        command.make_context(command.name, [MEANT.get(word, word) for word in words])


@pytest.mark.parametrize("file", EVERYWHERE, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_a_document_names_can_be_called(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for span in spans(file):
        if "…" in span:
            continue
        words = shlex.split(re.sub(r"\s?\[[^]]*\]", "", span), comments=True) if '"' not in span else span.split()
        while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
            words = words[1:]
        match words:
            case ["emprops", *rest]:
                try:
                    assert_is_a_command(rest)
                except (click.ClickException, AssertionError) as error:
                    pytest.fail(f"`{span}`: {error}")
            case ["make", target, *_]:
                assert target in targets, span
            case [("python" | ".venv/bin/python"), "-m", module, *_]:
                assert importlib.util.find_spec(module) is not None, span


@pytest.mark.parametrize("words", [words for words, command in commands() if on_history(command)])
def test_the_help_of_a_command_on_history_says_that_the_set_must_be_running(words: str) -> None:
    command = dict(commands())[words]
    help_text = command.get_help(click.Context(command, info_name=words, terminal_width=1000))
    assert "he set must be running" in " ".join(help_text.split())


def test_a_missing_option_and_a_misspelt_command_are_found() -> None:
    with pytest.raises(click.MissingParameter):
        assert_is_a_command(["events", "--service", "credits"])
    with pytest.raises(click.NoSuchOption):
        assert_is_a_command(["status", "--data", "DIR", "--wide"])
    with pytest.raises(AssertionError, match="there is no command history"):
        assert_is_a_command(["history"])
