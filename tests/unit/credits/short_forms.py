"""Commands and events of one account, in a short form, and the account after some events."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.credits.domain.account import Account, evolve
from services.credits.domain.closed import captured_after, grant_after, outcome_after, refunded_after, reversal_after
from services.credits.domain.decisions import CaptureHold, GrantCredits, PlaceHold, ReleaseHold, decide
from services.credits.domain.refunds import JobSpending, RefundJob
from services.credits.domain.reversals import ReverseGrant
from shared.contracts.credits import (
    Allocation,
    CreditsGranted,
    GrantExpired,
    GrantReversed,
    HoldCaptured,
    HoldDeclined,
    HoldPlaced,
    HoldReleased,
)
from tests.support.specification import Aggregate

USER = UUID(int=1)
JOB = UUID(int=100)
OTHER_JOB = UUID(int=101)
A, B, C = UUID(int=10), UUID(int=11), UUID(int=12)
NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
DAY = "2026-11-22"
SOON = NOW + timedelta(hours=1)
LATER = NOW + timedelta(hours=2)


def granted(grant_id, amount, priority=0, expires=None, external_id=None):
    return CreditsGranted(
        grant_id=grant_id,
        user_id=USER,
        amount=amount,
        source="test",
        priority=priority,
        expires_at=None if expires is None else expires.isoformat(),
        external_id=external_id,
    )


def give(grant_id, amount, priority=0, expires=None, external_id=None, now=NOW):
    return GrantCredits(grant_id, USER, amount, "test", priority, expires, external_id, now)


def place(amount, job=JOB, now=NOW):
    return PlaceHold(USER, job, amount, now)


def capture(amount, job=JOB, now=NOW):
    return CaptureHold(USER, job, amount, now)


def release(job=JOB, now=NOW):
    return ReleaseHold(USER, job, now)


def placed(amount, *allocations, job=JOB):
    return HoldPlaced(job, USER, amount, [Allocation(*allocation) for allocation in allocations], day=DAY)


def captured(amount, *allocations, job=JOB):
    return HoldCaptured(job, USER, amount, [Allocation(*allocation) for allocation in allocations])


def released(amount, *allocations, job=JOB):
    return HoldReleased(job, USER, amount, [Allocation(*allocation) for allocation in allocations], day=DAY)


def declined(amount, available, job=JOB):
    return HoldDeclined(job, USER, amount, available)


def expired(grant_id, amount):
    return GrantExpired(grant_id, USER, amount)


def reverse(amount=None, grant_id=A, number=1, now=NOW):
    return ReverseGrant(UUID(int=200 + number), grant_id, USER, amount, "returned", f"re_{number}", now)


def reversed_(amount, missing=0, requested=None, grant_id=A, number=1):
    ids = (UUID(int=200 + number), grant_id, USER)
    return GrantReversed(*ids, amount, missing, requested, "returned", f"re_{number}")


def refund(amount, job=JOB, grant_id=C):
    return RefundJob(grant_id, USER, job, amount, "blurred", "rf_1", NOW)


def refunded(amount, job=JOB, grant_id=C):
    return CreditsGranted(grant_id, USER, amount, "refund", 100, None, "rf_1", job, "blurred")


def account(*events):
    """The account after these events; its decisions get the command's grant or hold as they look it up."""

    def decide_with_closed(command, state):
        if isinstance(command, GrantCredits):
            return decide(command, state, grant=grant_after(None, events, command.grant_id))
        if isinstance(command, ReverseGrant):
            reversal = reversal_after(None, events, command.reversal_id)
            return decide(command, state, grant=grant_after(None, events, command.grant_id), reversal=reversal)
        if isinstance(command, RefundJob):
            spending = JobSpending(*(fold(0, events, command.job_id) for fold in (captured_after, refunded_after)))
            return decide(command, state, grant=grant_after(None, events, command.grant_id), spending=spending)
        return decide(command, state, hold=outcome_after(None, events, command.job_id))

    return Aggregate(Account(), evolve, decide_with_closed).given(*events)
