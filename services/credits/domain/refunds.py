"""The refund of a job: credits that it captured come back as a new grant, which never expires."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.credits.domain.closed import GrantTerms
from shared.contracts.amounts import to_credits
from shared.contracts.credits import CreditsGranted
from shared.contracts.problem import Detail, Problem

SOURCE = "refund"
PRIORITY = 100
"""That of a grant for which none is chosen."""


class RefundJob(msgspec.Struct, frozen=True):
    """Give `amount` micro-credits of what a job captured back. Idempotent by `grant_id`, made from `external_id`."""

    grant_id: UUID
    user_id: UUID
    job_id: UUID
    amount: int
    reason: str
    external_id: str
    now: datetime


class JobSpending(msgspec.Struct, frozen=True):
    """What a job captured of an account in all of its rounds, and what of it was refunded; micro-credits."""

    captured: int = 0
    refunded: int = 0


def refund(command: RefundJob, existing: GrantTerms | None, spending: JobSpending) -> CreditsGranted | None:
    """The refund's grant; None if it was recorded before.

    Raises IDEMPOTENCY_KEY_REUSED if `external_id` names another refund, NOT_FOUND if the job captured nothing of this
    account, and REFUND_EXCEEDS_CAPTURE for more than is left of what it captured.
    """
    if existing is not None:
        if (existing.job_id, existing.amount) == (command.job_id, command.amount):
            return None
        raise Problem(
            "IDEMPOTENCY_KEY_REUSED",
            f"This refund exists already, with {to_credits(existing.amount)} credits",
            Detail("/external_id", "names a refund of another job, or of another amount"),
        )
    if not spending.captured:
        detail = Detail("/job_id", "has captured no credits of this user")
        raise Problem("NOT_FOUND", "This job has captured no credits of this user", detail)
    left = spending.captured - spending.refunded
    if command.amount > left:
        raise Problem(
            "REFUND_EXCEEDS_CAPTURE",
            f"The job captured {to_credits(spending.captured)} credits, of which {to_credits(spending.refunded)} were "
            f"refunded before: {to_credits(left)} are left",
            Detail("/amount", f"must be at most {to_credits(left)}"),
        )
    return CreditsGranted(
        grant_id=command.grant_id,
        user_id=command.user_id,
        amount=command.amount,
        source=SOURCE,
        priority=PRIORITY,
        expires_at=None,
        external_id=command.external_id,
        job_id=command.job_id,
        reason=command.reason,
    )
