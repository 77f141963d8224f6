"""Texts of pages: sizes and times in words, and the links in what a creator wrote."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from services.collections.domain.links import MAX_URL, is_link

NAMES_OF_CHAINS = {"ETHEREUM": "Ethereum", "BASE": "Base", "TEZOS": "Tezos"}
_URL = re.compile(r"(?:https|ipfs)://[^\s<>\"'`\\]+")
_ENDS = ".,;:!?)]}»”…"
"""Characters at a URL's end that belong to the sentence around it."""
_GROUPS = 1024


class Part(NamedTuple):
    """A part of a text. `link`: where it leads to; only https and ipfs ever do."""

    text: str
    link: str | None


def parts(text: str) -> Iterator[Part]:
    """The text, with its URLs apart. Joined, the parts are the text."""
    at = 0
    for match in _URL.finditer(text):
        url = match[0].rstrip(_ENDS)
        if len(url) > MAX_URL or not is_link(url):
            continue
        if match.start() > at:
            yield Part(text[at : match.start()], None)
        yield Part(url, url)
        at = match.start() + len(url)
    if at < len(text):
        yield Part(text[at:], None)


def chain(name: str) -> str:
    return NAMES_OF_CHAINS.get(name, name)


def time(value: datetime) -> str:
    """Such as `3 November 2026, 12:00 UTC`."""
    value = value.astimezone(UTC)
    return f"{value.day} {value:%B %Y, %H:%M} UTC"


def size(count: int) -> str:
    """Bytes, rounded to three digits: `2.04 MiB`."""
    amount, unit = float(count), "bytes"
    for larger in ("KiB", "MiB", "GiB"):
        if amount < _GROUPS:
            break
        amount, unit = amount / _GROUPS, larger
    return f"{count} bytes" if unit == "bytes" else f"{amount:.3g} {unit}"


def summary(text: str, length: int = 200) -> str:
    """The beginning of a text in one line, for previews of links."""
    line = " ".join(text.split())
    return line if len(line) <= length else f"{line[: length - 1].rstrip()}…"
