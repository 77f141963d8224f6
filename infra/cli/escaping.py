"""Escapes control characters in texts that users wrote, before a terminal interprets them.

ESC and C1 move the cursor and change colours, CR and line breaks forge lines, bidirectional marks reverse a line.
Every printed text that comes from users or errors passes through here. JSON does too: there the characters become JSON
escapes, so the values stay the same.
"""

import re
from typing import Any

import msgspec
from rich.text import Text

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
"""Candidates, for `str.isprintable`: everything but printable ASCII."""


def escape(text: str) -> str:
    r"""The text on one line, each unprintable character as a Python escape, such as `\x1b` or `\u202e`."""
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0].isprintable() else _python_escape(match[0]), text)


def cell(text: str, style: str = "") -> Text:
    """The text for a table, as a rich Text: brackets in it are not taken for markup."""
    return Text(escape(text), style=style)


def escape_json(value: Any, *, indent: int = 2) -> str:
    """A value as JSON; `indent` 0 keeps it on one line."""
    encoded = msgspec.json.encode(value)
    text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
    return "\n".join(_UNPRINTABLE.sub(_json_escape, line) for line in text.split("\n"))


def _python_escape(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _json_escape(match: re.Match[str]) -> str:
    if match[0].isprintable():
        return match[0]
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
