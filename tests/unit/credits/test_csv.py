"""A statement as CSV: lines by RFC 4180, exact numbers, and no text that a spreadsheet takes for a formula."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from services.credits.queries import LedgerEntry
from services.credits.statements.csv_form import LINES, csv_pieces

NOW = datetime(2026, 11, 28, 6, tzinfo=UTC)
ENTRY = LedgerEntry(
    7, "held", Decimal(1), Decimal("-1.000001"), Decimal(0), None, None, None, None, None, None, "x", NOW
)


async def lines(*entries: LedgerEntry) -> list[dict[str, Any]]:
    async def one_by_one() -> AsyncIterator[LedgerEntry]:
        for entry in entries:
            yield entry

    text = b"".join([piece async for piece in csv_pieces(one_by_one())]).decode()
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1"])
async def test_a_text_like_a_formula_gets_an_apostrophe(text: str):
    [line] = await lines(msgspec.structs.replace(ENTRY, reason=text))
    assert line["reason"] == f"'{text}"


@pytest.mark.parametrize("text", ["a=1", 'a "quoted", text', "two\r\nlines", "é 🖼", ""])
async def test_any_other_text_comes_back_as_it_is(text: str):
    [line] = await lines(msgspec.structs.replace(ENTRY, reason=text))
    assert line["reason"] == text


async def test_numbers_are_exact_and_negative_ones_stay_numbers():
    [line] = await lines(ENTRY)
    assert (line["change"], line["amount"], line["recorded_at"]) == ("-1.000001", "1", "2026-11-28T06:00:00+00:00")


@pytest.mark.parametrize("count", [0, LINES - 1, LINES, 2 * LINES + 1])
async def test_all_entries_are_in_it(count: int):
    entries = [msgspec.structs.replace(ENTRY, position=number) for number in range(count)]
    assert [line["position"] for line in await lines(*entries)] == [str(number) for number in range(count)]
