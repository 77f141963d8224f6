"""Commands on a user's account, and the events that each leads to.

Each command carries the time: a grant past its expiry is never available, and its remainder is recorded as a
`GrantExpired` by the next command that changes the account.
"""

from datetime import UTC, datetime
from functools import reduce
from itertools import islice
from typing import assert_never
from uuid import UUID

import msgspec

from services.credits.domain.account import Account, Hold, evolve, split
from services.credits.domain.amounts import ACCOUNT_LIMIT
from services.credits.domain.closed import GrantTerms, HoldOutcome, ReversalTerms
from services.credits.domain.deadlines import ExtendHold, QuestionHold, extend, question
from services.credits.domain.grants import Grant
from services.credits.domain.refunds import JobSpending, RefundJob, refund
from services.credits.domain.reversals import ReverseGrant, reverse
from services.credits.domain.spending import SetLimits, exceeded_limit, low_notice, set_limits
from shared.contracts.amounts import to_credits
from shared.contracts.credits import (
    Allocation,
    CreditsGranted,
    GrantExpired,
    HoldCaptured,
    HoldDeclined,
    HoldPlaced,
    HoldReleased,
    SpendLimit,
)
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem, invalid

MAX_OPEN_GRANTS = 5_000
"""Grants of one account that are not used up, wholly held ones included.

It bounds the account's state, and the event of a hold, which lists every grant that it takes credits from.
"""
LATEST_EXPIRY = datetime(9000, 1, 1, tzinfo=UTC)

# Commands


class GrantCredits(msgspec.Struct, frozen=True):
    """Give a user credits. Idempotent by `grant_id`, which is derived from `external_id` when there is one."""

    grant_id: UUID
    user_id: UUID
    amount: int
    source: str
    priority: int
    expires_at: datetime | None
    external_id: str | None
    now: datetime


class PlaceHold(msgspec.Struct, frozen=True):
    """Hold a job's credits, or decline if too few are available. `amount` is 0 for a job that costs nothing."""

    user_id: UUID
    job_id: UUID
    amount: int
    now: datetime
    hold_id: UUID | None = None
    deadline: datetime | None = None


class CaptureHold(msgspec.Struct, frozen=True):
    """Spend `amount` of a job's hold and release the rest."""

    user_id: UUID
    job_id: UUID
    amount: int
    now: datetime
    hold_id: UUID | None = None


class ReleaseHold(msgspec.Struct, frozen=True):
    """Release the whole hold of a job."""

    user_id: UUID
    job_id: UUID
    now: datetime
    hold_id: UUID | None = None


class ReleaseOpenHold(msgspec.Struct, frozen=True):
    """Release the whole hold of a job if it is open. No events for a resolved or unknown hold."""

    user_id: UUID
    job_id: UUID
    now: datetime
    hold_id: UUID | None = None


HoldCommand = PlaceHold | CaptureHold | ReleaseHold | ReleaseOpenHold
"""A command on the hold of one round of a job. `hold_id` None: the hold of the job's request, whose id is the job's."""
Command = GrantCredits | ReverseGrant | RefundJob | SetLimits | HoldCommand | QuestionHold | ExtendHold


def hold_of(command: HoldCommand) -> UUID:
    """The id of the hold that the command is for."""
    return command.hold_id or command.job_id


# Decisions


NOTHING_SPENT = JobSpending()


def decide(
    command: Command,
    account: Account,
    *,
    grant: GrantTerms | None = None,
    hold: HoldOutcome | None = None,
    reversal: ReversalTerms | None = None,
    spending: JobSpending = NOTHING_SPENT,
) -> list[Event]:
    """The events of a command. Idempotent: none if it was carried out before.

    `grant` and `hold`: the command's grant or hold if it is closed, and so no longer in the account (closed.py); of a
    refund, its grant even if it is open. `reversal`: the command's, if it was recorded before. `spending`: a refund's.

    Raises:
        Problem: VALIDATION_FAILED or IDEMPOTENCY_KEY_REUSED for a grant; HOLD_AMOUNT_DIFFERS, HOLD_RESOLVED,
            HOLD_NOT_FOUND or CAPTURE_EXCEEDS_HOLD for a hold: permanent faults of the sender, so the event is parked;
            for reversals and refunds see there.
    """
    events = _decision(command, account, grant, hold, reversal, spending)
    may_be_low = account.spending.low_threshold is not None or isinstance(command, SetLimits)
    if not events or not may_be_low or isinstance(command, QuestionHold | ExtendHold):
        return events
    after = reduce(evolve, events, account)
    return [*events, *low_notice(after.spending, command.user_id, after.available(command.now))]


def _decision(  # noqa: C901, PLR0911 - a case for each command
    command: Command,
    account: Account,
    grant: GrantTerms | None,
    hold: HoldOutcome | None,
    reversal: ReversalTerms | None,
    spending: JobSpending,
) -> list[Event]:
    match command:
        case GrantCredits():
            return _grant(command, account, account.grants.get(command.grant_id) or grant)
        case ReverseGrant():
            events = reverse(command, account, grant, reversal)
            return [*_expiries(account, command.user_id, command.now), *events] if events else []
        case RefundJob():
            granted = refund(command, grant, spending)
            return _recorded(account, granted, command.now) if granted is not None else []
        case SetLimits():
            limits = set_limits(command, account.spending)
            return [*_expiries(account, command.user_id, command.now), *limits] if limits else []
        case PlaceHold():
            return _place(command, account, account.holds.get(hold_of(command)) or hold, spending)
        case CaptureHold():
            return _resolve(account, command, command.amount, hold)
        case ReleaseHold():
            return _resolve(account, command, 0, hold)
        case ReleaseOpenHold():
            return _resolve(account, command, 0, hold) if account.holds.get(hold_of(command)) else []
        case QuestionHold():
            return [*question(command, account)]
        case ExtendHold():
            return [*extend(command, account)]
        case _:
            assert_never(command)


def _grant(command: GrantCredits, account: Account, existing: Grant | GrantTerms | None) -> list[Event]:
    if existing is not None:
        if (existing.amount, existing.expires_at, existing.priority) == (
            command.amount,
            command.expires_at,
            command.priority,
        ):
            return []
        raise Problem(
            "IDEMPOTENCY_KEY_REUSED",
            f"This grant exists already, with {to_credits(existing.amount)} credits",
            Detail("/external_id", "names a grant with another amount, priority or expiry"),
        )
    if command.expires_at is not None and command.expires_at <= command.now:
        raise invalid("The grant would have expired already", Detail("/expires_at", "must lie in the future"))
    if command.expires_at is not None and command.expires_at >= LATEST_EXPIRY:
        message = f"must lie before {LATEST_EXPIRY.date()}; leave it out for a grant that never expires"
        raise invalid("The grant's expiry is too far away", Detail("/expires_at", message))
    granted = CreditsGranted(
        grant_id=command.grant_id,
        user_id=command.user_id,
        amount=command.amount,
        source=command.source,
        priority=command.priority,
        expires_at=None if command.expires_at is None else command.expires_at.astimezone(UTC).isoformat(),
        external_id=command.external_id,
    )
    return _recorded(account, granted, command.now)


def _recorded(account: Account, granted: CreditsGranted, now: datetime) -> list[Event]:
    """The new grant after what has expired. Raises VALIDATION_FAILED if the account has no room for it."""
    if account.granted + granted.amount > ACCOUNT_LIMIT:
        limit = to_credits(ACCOUNT_LIMIT)
        raise invalid("The account would grow too large", Detail("/amount", f"takes the account's grants over {limit}"))
    expired_count = sum(not grant.held for grant in account.grants.due(now))
    if len(account.grants) - expired_count >= MAX_OPEN_GRANTS:
        message = f"has {MAX_OPEN_GRANTS} grants that are not used up: give fewer and larger ones"
        raise invalid("The account has too many grants", Detail("/user_id", message))
    return [*_expiries(account, granted.user_id, now), granted]


def _place(
    command: PlaceHold, account: Account, existing: Hold | HoldOutcome | None, spending: JobSpending
) -> list[Event]:
    if existing is not None:
        if existing.amount != command.amount:
            raise Problem(
                "HOLD_AMOUNT_DIFFERS",
                f"Job {command.job_id} has a hold of {existing.amount}, not {command.amount} micro-credits",
            )
        return []
    expiries = _expiries(account, command.user_id, command.now)
    spent_on_job = spending.captured - spending.refunded
    if (limit := exceeded_limit(account.spending, command.amount, command.now, spent_on_job)) is not None:
        return [*expiries, _declined(command, account.available(command.now), limit)]
    if account.available(command.now) < command.amount:
        return [*expiries, _declined(command, account.available(command.now))]
    allocations, remaining = list[Allocation](), command.amount
    # An account from before MAX_OPEN_GRANTS may have more open grants than one event can list.
    for grant in islice(account.grants.in_order_of_use(command.now), MAX_OPEN_GRANTS):
        if not remaining:
            break
        allocations.append(Allocation(grant.grant_id, min(grant.available, remaining)))
        remaining -= allocations[-1].amount
    if remaining:
        return [*expiries, _declined(command, command.amount - remaining)]
    deadline = None if command.deadline is None else command.deadline.astimezone(UTC).isoformat()
    ids, amount, day = (command.job_id, command.user_id), command.amount, account.spending.today(command.now)
    return [*expiries, HoldPlaced(*ids, amount, allocations, command.hold_id, deadline, day)]


def _declined(command: PlaceHold, available: int, limit: SpendLimit | None = None) -> HoldDeclined:
    return HoldDeclined(command.job_id, command.user_id, command.amount, available, command.hold_id, limit)


def _resolve(
    account: Account, command: CaptureHold | ReleaseHold | ReleaseOpenHold, captured: int, existing: HoldOutcome | None
) -> list[Event]:
    user_id, job_id, now = command.user_id, command.job_id, command.now
    hold = account.holds.get(hold_of(command))
    if hold is None:
        _check_resolved(job_id, captured, existing)
        return []
    if captured > hold.amount:
        raise Problem(
            "CAPTURE_EXCEEDS_HOLD", f"Job {job_id} holds {hold.amount} micro-credits, so {captured} can't be captured"
        )
    events: list[Event] = _expiries(account, user_id, now)
    spent, rest = split(hold.allocations, captured)
    if captured:
        events.append(HoldCaptured(job_id, user_id, captured, spent, command.hold_id))
    if rest or not captured:
        events.append(HoldReleased(job_id, user_id, hold.amount - captured, rest, command.hold_id, hold.day))
    expired_meanwhile = [allocation for allocation in rest if account.grants[allocation.grant_id].is_expired(now)]
    events += [GrantExpired(allocation.grant_id, user_id, allocation.amount) for allocation in expired_meanwhile]
    return events


def _check_resolved(job_id: UUID, captured: int, existing: HoldOutcome | None) -> None:
    """Raises HOLD_NOT_FOUND or HOLD_RESOLVED if a closed hold was not resolved with `captured`."""
    if existing is None or existing.status == "declined":
        if captured:
            message = f"Job {job_id} has no hold to capture {captured} micro-credits of"
            raise Problem("HOLD_NOT_FOUND", message)
    elif existing.captured != captured:
        raise Problem(
            "HOLD_RESOLVED",
            f"The hold of job {job_id} was resolved with {existing.captured}, not {captured} micro-credits",
        )


def _expiries(account: Account, user_id: UUID, now: datetime) -> list[Event]:
    return [GrantExpired(grant.grant_id, user_id, grant.available) for grant in account.grants.due(now)]
