"""What users wrote, as a terminal may show it: control characters act there, so they are spelled out.

ESC and C1 move the cursor and change colours, CR and line breaks forge lines, bidirectional marks turn a line round.
Everything that is printed for people and holds a text of somebody else's goes through here, and so does JSON, in which
such characters become escapes: the values stay the same.
"""

import re
from typing import Any

import msgspec
from rich.text import Text

_UNPRINTABLE = re.compile(r"[^\x20-\x7e]")
"""What may be unprintable: all beyond plain ASCII is looked at."""


def shown(text: str) -> str:
    r"""A text on one line, every character visible: those that are not, as `\x1b` or `\u202e`, as Python has them."""
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0].isprintable() else _spelled(found[0]), text)


def cell(text: str, style: str = "") -> Text:
    """For a table: what stands in brackets is no markup."""
    return Text(shown(text), style=style)


def json_shown(value: Any, *, indent: int = 2) -> str:
    """A value as JSON; `indent` 0 keeps it on one line."""
    encoded = msgspec.json.encode(value)
    text = (msgspec.json.format(encoded, indent=indent) if indent else encoded).decode()
    return "\n".join(_UNPRINTABLE.sub(_escaped, line) for line in text.split("\n"))


def _spelled(character: str) -> str:
    return character.encode("unicode_escape").decode()


def _escaped(found: re.Match[str]) -> str:
    if found[0].isprintable():
        return found[0]
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
