"""The statement as a page: times in UTC, sums, and texts that can't be markup."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import msgspec

from services.credits.queries import EntryFilter, LedgerEntry
from services.credits.statements.page_form import statement_page

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
ENTRY = LedgerEntry(
    position=2,
    kind="granted",
    amount=Decimal("10.5"),
    change=Decimal("10.5"),
    balance_after=Decimal("12.5"),
    job_id=None,
    hold_id=None,
    grant_id=UUID(int=7),
    source="operator",
    external_id="<script>alert(1)</script>",
    reason=None,
    actor="operator",
    recorded_at=NOW,
)


def page(*entries: LedgerEntry, chosen: EntryFilter = EntryFilter()) -> str:  # noqa: B008 - immutable
    return statement_page(UUID(int=1), list(entries), chosen, NOW).decode()


def test_times_are_in_utc_whatever_offset_they_were_sent_with():
    since = datetime(2026, 11, 28, 10, tzinfo=timezone(timedelta(hours=2)))
    assert "since 2026-11-28 08:00:00 UTC" in page(ENTRY, chosen=EntryFilter(since=since))
    recorded = msgspec.structs.replace(ENTRY, recorded_at=since)
    assert "<td>2026-11-28 08:00:00 UTC</td>" in page(recorded)


def test_sums_stand_at_the_top_and_at_the_end():
    text = page(msgspec.structs.replace(ENTRY, position=3, balance_after=Decimal(23)), ENTRY)
    assert text.count("<dt>available before</dt><dd>2.0</dd>") == 2
    assert text.count("<dt>granted (2)</dt><dd>21.0</dd>") == 2
    assert text.count("<dt>available after</dt><dd>23</dd>") == 2


def test_an_empty_statement_says_so_and_has_no_sums():
    text = page()
    assert "No entries." in text
    assert "Sums" not in text
    assert "<dl" not in text


def test_texts_are_escaped():
    assert "<script>" not in page(ENTRY)
    assert "&lt;script&gt;" in page(ENTRY)
