"""A statement as CSV (RFC 4180): a header line, then an entry per line, streamed."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from decimal import Decimal

from services.credits.queries import LedgerEntry

COLUMNS = LedgerEntry.__struct_fields__
FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text begins with that a spreadsheet takes for a formula, or that hides one."""
LINES = 500
"""Entries in one piece of the stream."""


async def csv_pieces(entries: AsyncIterator[LedgerEntry]) -> AsyncIterator[bytes]:
    """The header, then the entries, in pieces of at most LINES lines."""
    lines: list[Iterable[str]] = [COLUMNS]
    async for entry in entries:
        lines.append([_cell(getattr(entry, column)) for column in COLUMNS])
        if len(lines) >= LINES:
            yield _text(lines)
            lines = []
    if lines:
        yield _text(lines)


def _text(lines: list[Iterable[str]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(lines)
    return text.getvalue().encode()


def _cell(value: object) -> str:
    """A number is exact and a time in RFC 3339; a text that looks like a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat()
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(FORMULAS) else text
