"""What an account's state does not keep: used-up grants, resolved holds, reversals, and what was refunded of a job.

`services.credits.closed` looks it up in the read tables and the account's later events; decisions get it as an
argument.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from shared.contracts.credits import (
    CreditsGranted,
    GrantReversed,
    HoldCaptured,
    HoldDeclined,
    HoldPlaced,
    HoldReleased,
)
from shared.contracts.event import Event

HOLD_EVENTS = (HoldPlaced, HoldDeclined, HoldCaptured, HoldReleased)


class GrantTerms(msgspec.Struct, frozen=True):
    """What was granted, and on which terms; `amount` in micro-credits."""

    amount: int
    source: str
    priority: int
    expires_at: datetime | None
    external_id: str | None
    job_id: UUID | None = None
    reason: str | None = None


class ReversalTerms(msgspec.Struct, frozen=True):
    """A reversal as it was requested, and its result; micro-credits."""

    grant_id: UUID
    requested: int | None
    amount: int
    missing: int
    reason: str
    external_id: str


class HoldOutcome(msgspec.Struct, frozen=True):
    """`status` as in the table of holds; `amount` is what the job asked for. Both amounts are micro-credits."""

    amount: int
    status: Literal["held", "captured", "released", "declined"]
    captured: int = 0


def grant_after(before: GrantTerms | None, events: Iterable[Event], grant_id: UUID) -> GrantTerms | None:
    """Folds later events of the account into a grant's terms."""
    for event in events:
        if isinstance(event, CreditsGranted) and event.grant_id == grant_id:
            expires_at = None if event.expires_at is None else datetime.fromisoformat(event.expires_at)
            before = GrantTerms(
                event.amount,
                event.source,
                event.priority,
                expires_at,
                event.external_id,
                event.job_id,
                event.reason,
            )
    return before


def reversal_after(before: ReversalTerms | None, events: Iterable[Event], reversal_id: UUID) -> ReversalTerms | None:
    """The reversal, if it is among later events of the account."""
    for event in events:
        if isinstance(event, GrantReversed) and event.reversal_id == reversal_id:
            before = ReversalTerms(
                event.grant_id, event.requested, event.amount, event.missing, event.reason, event.external_id
            )
    return before


def captured_after(before: int, events: Iterable[Event], job_id: UUID) -> int:
    """Adds what later events of the account captured for a job, in all of its rounds; micro-credits."""
    return before + sum(event.amount for event in events if isinstance(event, HoldCaptured) and event.job_id == job_id)


def refunded_after(before: int, events: Iterable[Event], job_id: UUID) -> int:
    """Adds what later events of the account refunded of a job; micro-credits."""
    of_job = (event for event in events if isinstance(event, CreditsGranted) and event.job_id == job_id)
    return before + sum(event.amount for event in of_job)


def outcome_after(before: HoldOutcome | None, events: Iterable[Event], hold_id: UUID) -> HoldOutcome | None:
    """Folds later events of the account into the outcome of a hold."""
    for event in events:
        if not isinstance(event, HOLD_EVENTS) or (event.hold_id or event.job_id) != hold_id:
            continue
        match event:
            case HoldPlaced(amount=amount):
                before = HoldOutcome(amount, "held")
            case HoldDeclined(amount=amount):
                before = HoldOutcome(amount, "declined")
            case HoldCaptured(amount=amount) if before is not None:
                before = HoldOutcome(before.amount, "captured", amount)
            case HoldReleased() if before is not None:
                before = HoldOutcome(before.amount, "captured" if before.captured else "released", before.captured)
    return before
