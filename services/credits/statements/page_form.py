"""A statement as a page for people and printers."""

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

from services.credits.queries import EntryFilter, LedgerEntry
from shared.http.pages import Pages

MAX_ENTRIES = 5_000
"""Entries of one page; a longer statement is CSV."""


def _credits(amount: Decimal) -> str:
    return f"{amount:f}"


def _time(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


PAGES = Pages("services.credits", "statements/templates", {"credits": _credits, "time": _time})
HEADERS = {
    "content-security-policy": PAGES.policy,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-store",
}


def statement_page(user_id: UUID, entries: list[LedgerEntry], chosen: EntryFilter, now: datetime) -> bytes:
    """The page. `entries`: newest first, and all that `chosen` selects, so that the sums are of the whole statement.

    A statement of one job or kind has no balance at its begin and end.
    """
    counts = Counter[str]()
    totals = dict[str, Decimal]()
    for entry in entries:
        counts[entry.kind] += 1
        totals[entry.kind] = totals.get(entry.kind, Decimal(0)) + entry.amount
    is_whole = chosen.job_id is None and chosen.kind is None and bool(entries)
    return PAGES.render(
        "statement.html",
        user_id=user_id,
        entries=entries,
        chosen=chosen,
        now=now,
        totals=[(kind, counts[kind], totals[kind]) for kind in sorted(totals)],
        begin=entries[-1].balance_after - entries[-1].change if is_whole else None,
        end=entries[0].balance_after if is_whole else None,
    )
