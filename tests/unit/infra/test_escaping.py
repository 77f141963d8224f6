"""Texts of users are printed on one line, with control characters escaped."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.cli.escaping import cell, escape, escape_json
from infra.cli.options import fail

EVIL = "\x1b[2Jred\x07\x9b31m\u202eerutuf\r\nforged \x00\x7f\u2028 [red]markup[/]"


@given(st.text())
def test_a_text_is_one_line_of_visible_characters(text):
    assert escape(text).isprintable()


def test_what_is_visible_stays():
    """Letters of any script, emoji, and a plain space."""
    assert escape("Ærø 東京 🖼 “fox”") == "Ærø 東京 🖼 “fox”"
    assert escape(EVIL).startswith(r"\x1b[2Jred\x07\x9b31m\u202eerutuf\r\nforged \x00\x7f\u2028 ")


@given(st.recursive(st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5))
def test_json_says_the_same_with_visible_characters(value):
    for indent in (0, 2):
        text = escape_json(value, indent=indent)
        assert json.loads(text) == value
        assert text.replace("\n", "").isprintable()


def test_a_cell_takes_no_markup():
    assert cell("[red]a[/]").plain == "[red]a[/]"


def visible(text: str) -> bool:
    return text.replace("\n", "").isprintable() and "forged" not in [line.split(" ")[0] for line in text.splitlines()]


def test_a_failure_is_printed_on_one_line(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        fail(EVIL, "and below", EVIL)
    output = capsys.readouterr().err
    assert visible(output)
    assert len(output.splitlines()) == 3
