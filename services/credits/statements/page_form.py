"""A statement as a page for people and printers: Jinja with autoescape, and a policy that permits no scripts."""

import base64
import hashlib
from collections import Counter
from datetime import datetime
from decimal import Decimal
from functools import cache
from uuid import UUID

from jinja2 import Environment, PackageLoader, StrictUndefined

from services.credits.queries import EntryFilter, LedgerEntry

MAX_ENTRIES = 5_000
"""Entries of one page; a longer statement is CSV."""
STYLE = "style.css"


@cache
def _environment() -> Environment:
    templates = Environment(
        loader=PackageLoader("services.credits", "statements/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    templates.filters.update(credits=lambda amount: f"{amount:f}", time=_time)
    return templates


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


@cache
def _style() -> str:
    loader = PackageLoader("services.credits", "statements/templates")
    source, _, _ = loader.get_source(Environment(autoescape=True), STYLE)
    return source


@cache
def headers() -> dict[str, str]:
    """Of the page. Its style is permitted by its sha256; it is its user's own, so nobody else may keep it."""
    style_hash = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return {
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{style_hash}'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
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
    return (
        _environment()
        .get_template("statement.html")
        .render(
            style=_style(),
            user_id=user_id,
            entries=entries,
            chosen=chosen,
            now=now,
            totals=[(kind, counts[kind], totals[kind]) for kind in sorted(totals)],
            begin=entries[-1].balance_after - entries[-1].change if is_whole else None,
            end=entries[0].balance_after if is_whole else None,
        )
        .encode()
    )
