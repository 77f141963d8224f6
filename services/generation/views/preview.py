"""What the owner of a collection sees of its visitors."""

from datetime import datetime
from uuid import UUID

import msgspec


class VisitorView(msgspec.Struct, frozen=True):
    """A visitor of a collection. `generations`: that have completed, or may still; these count to the limit."""

    user_id: UUID
    jobs: int
    open_jobs: int
    generations: int
    last_requested_at: datetime


class PreviewTotals(msgspec.Struct, frozen=True):
    """Of all visitors of a collection together."""

    visitors: int
    jobs: int
    open_jobs: int
    generations: int


class VisitorPage(msgspec.Struct, frozen=True):
    """One page of a collection's visitors. `next_cursor` requests the next page and is null on the last."""

    data: list[VisitorView]
    totals: PreviewTotals
    next_cursor: str | None = None
    error: None = None
