"""The account as the first releases kept it, with its closed grants and holds, and its decisions.

It says, in tests, what the ledger of today must decide and hold: the same, though that one forgets what is over.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, assert_never
from uuid import UUID

import msgspec

from services.credits.domain.account import split
from services.credits.domain.amounts import ACCOUNT_LIMIT
from services.credits.domain.decisions import (
    LATEST_EXPIRY,
    MAX_OPEN_GRANTS,
    CaptureHold,
    Command,
    GrantCredits,
    PlaceHold,
    ReleaseHold,
    ReleaseOpenHold,
)
from services.credits.domain.refunds import RefundJob
from services.credits.domain.reversals import ReverseGrant
from shared.contracts.amounts import to_credits
from shared.contracts.credits import (
    Allocation,
    CreditsGranted,
    GrantExpired,
    GrantReversed,
    HoldCaptured,
    HoldDeclined,
    HoldExtended,
    HoldPlaced,
    HoldQuestioned,
    HoldReleased,
)
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem, invalid
from tests.unit.credits import full_returns

# State


class Grant(msgspec.Struct, frozen=True):
    """Where every micro-credit of a grant is: `amount == available + held + spent + expired + reversed`."""

    grant_id: UUID
    amount: int
    source: str
    priority: int
    expires_at: datetime | None
    external_id: str | None
    order: int
    available: int
    held: int = 0
    spent: int = 0
    expired: int = 0
    reversed: int = 0
    job_id: UUID | None = None

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Hold(msgspec.Struct, frozen=True):
    """Credits set aside for a job. `allocations`: what is still held of each grant, in the order of spending."""

    amount: int
    status: Literal["held", "captured", "released", "declined"]
    allocations: tuple[Allocation, ...] = ()
    captured: int = 0
    job_id: UUID | None = None


class Account(msgspec.Struct, frozen=True):
    """A user's ledger. Holds stay known after they are resolved, so that a job is never held or charged twice."""

    grants: dict[UUID, Grant] = {}
    holds: dict[UUID, Hold] = {}
    reversals: dict[UUID, GrantReversed] = {}

    def spendable(self, now: datetime) -> list[Grant]:
        """Grants with something available, in the order of use: priority, then nearest expiry, then oldest."""
        usable = [grant for grant in self.grants.values() if grant.available and not grant.is_expired(now)]
        return sorted(usable, key=lambda grant: (grant.priority, grant.expires_at or NEVER, grant.order))

    def available(self, now: datetime) -> int:
        return sum(grant.available for grant in self.spendable(now))


NEVER = datetime.max.replace(tzinfo=UTC)
Pot = Literal["available", "held", "spent", "expired", "reversed"]

# What happens


def evolve(account: Account, event: Event) -> Account:  # noqa: PLR0911 - a case for each event
    match event:
        case CreditsGranted():
            grant = Grant(
                grant_id=event.grant_id,
                amount=event.amount,
                source=event.source,
                priority=event.priority,
                expires_at=None if event.expires_at is None else datetime.fromisoformat(event.expires_at),
                external_id=event.external_id,
                order=len(account.grants),
                available=event.amount,
                job_id=event.job_id,
            )
            return msgspec.structs.replace(account, grants={**account.grants, grant.grant_id: grant})
        case HoldPlaced():
            hold = Hold(event.amount, "held", tuple(event.allocations))
            return _moved(account, event.allocations, "available", "held", {event.job_id: hold})
        case HoldQuestioned() | HoldExtended():
            return account
        case HoldDeclined():
            return _moved(account, [], "available", "held", {event.job_id: Hold(event.amount, "declined")})
        case HoldCaptured():
            hold = account.holds[event.job_id]
            _, rest = split(hold.allocations, event.amount)
            hold = Hold(hold.amount, "captured", tuple(rest), captured=event.amount, job_id=event.job_id)
            return _moved(account, event.allocations, "held", "spent", {event.job_id: hold})
        case HoldReleased():
            hold = account.holds[event.job_id]
            status = "captured" if hold.captured else "released"
            hold = Hold(hold.amount, status, captured=hold.captured, job_id=event.job_id)
            return _moved(account, event.allocations, "held", "available", {event.job_id: hold})
        case GrantExpired():
            return _moved(account, [Allocation(event.grant_id, event.amount)], "available", "expired", {})
        case GrantReversed():
            moved = _moved(account, [Allocation(event.grant_id, event.amount)], "available", "reversed", {})
            return msgspec.structs.replace(moved, reversals={**account.reversals, event.reversal_id: event})
        case _:
            raise AssertionError(f"{event!r} is not an event of an account")


def _moved(
    account: Account, allocations: Sequence[Allocation], source: Pot, target: Pot, holds: dict[UUID, Hold]
) -> Account:
    grants = dict(account.grants)
    for allocation in allocations:
        grant = grants[allocation.grant_id]
        pots = {source: getattr(grant, source) - allocation.amount, target: getattr(grant, target) + allocation.amount}
        grants[grant.grant_id] = msgspec.structs.replace(grant, **pots)
    return msgspec.structs.replace(account, grants=grants, holds={**account.holds, **holds})


def decide(command: Command, account: Account) -> list[Event]:  # noqa: PLR0911 - a case for each command
    """The events of a command; none when it was carried out before.

    Raises:
        Problem: VALIDATION_FAILED or IDEMPOTENCY_KEY_REUSED for a grant; HOLD_AMOUNT_DIFFERS, HOLD_RESOLVED,
            HOLD_NOT_FOUND or CAPTURE_EXCEEDS_HOLD for a hold: those are faults of the sender, and no retry mends them.
    """
    match command:
        case GrantCredits():
            return _give(command, account)
        case ReverseGrant():
            return full_returns.reverse(command, account, _expiries(account, command.user_id, command.now))
        case RefundJob():
            granted = full_returns.refund(command, account)
            return [] if granted is None else _new_grant(account, granted, command.now)
        case PlaceHold():
            return _place(command, account)
        case CaptureHold():
            return _resolve(account, command.user_id, command.job_id, command.amount, command.now)
        case ReleaseHold():
            return _resolve(account, command.user_id, command.job_id, 0, command.now)
        case ReleaseOpenHold():
            hold = account.holds.get(command.job_id)
            if hold is None or hold.status != "held":
                return []
            return _resolve(account, command.user_id, command.job_id, 0, command.now)
        case _:
            assert_never(command)


def _give(command: GrantCredits, account: Account) -> list[Event]:
    earlier = account.grants.get(command.grant_id)
    if earlier is not None:
        if (earlier.amount, earlier.expires_at, earlier.priority) == (
            command.amount,
            command.expires_at,
            command.priority,
        ):
            return []
        raise Problem(
            "IDEMPOTENCY_KEY_REUSED",
            f"This grant exists already, with {to_credits(earlier.amount)} credits",
            Detail("/external_id", "names a grant with another amount, priority or expiry"),
        )
    if command.expires_at is not None and command.expires_at <= command.now:
        raise invalid("The grant would have expired already", Detail("/expires_at", "must lie in the future"))
    if command.expires_at is not None and command.expires_at >= LATEST_EXPIRY:
        message = f"must lie before {LATEST_EXPIRY.date()}; leave it out for a grant that never expires"
        raise invalid("The grant's expiry is too far away", Detail("/expires_at", message))
    expires_at = None if command.expires_at is None else command.expires_at.astimezone(UTC).isoformat()
    terms = (command.amount, command.source, command.priority, expires_at, command.external_id)
    granted = CreditsGranted(command.grant_id, command.user_id, *terms)
    return _new_grant(account, granted, command.now)


def _new_grant(account: Account, granted: CreditsGranted, now: datetime) -> list[Event]:
    is_too_large = sum(grant.amount for grant in account.grants.values()) + granted.amount > ACCOUNT_LIMIT
    if is_too_large or len(account.spendable(now)) >= MAX_OPEN_GRANTS:
        raise invalid("The account has no room for another grant")
    return [*_expiries(account, granted.user_id, now), granted]


def _place(command: PlaceHold, account: Account) -> list[Event]:
    earlier = account.holds.get(command.job_id)
    if earlier is not None:
        if earlier.amount != command.amount:
            raise Problem(
                "HOLD_AMOUNT_DIFFERS",
                f"Job {command.job_id} has a hold of {earlier.amount}, not {command.amount} micro-credits",
            )
        return []
    expiries = _expiries(account, command.user_id, command.now)
    spendable = account.spendable(command.now)[:MAX_OPEN_GRANTS]
    available = sum(grant.available for grant in spendable)
    if available < command.amount:
        return [*expiries, HoldDeclined(command.job_id, command.user_id, command.amount, available)]
    offers = [Allocation(grant.grant_id, grant.available) for grant in spendable]
    allocations, _ = split(offers, command.amount)
    return [*expiries, HoldPlaced(command.job_id, command.user_id, command.amount, allocations)]


def _resolve(account: Account, user_id: UUID, job_id: UUID, captured: int, now: datetime) -> list[Event]:
    hold = account.holds.get(job_id)
    if hold is None or hold.status == "declined":
        if captured == 0:
            return []
        raise Problem("HOLD_NOT_FOUND", f"Job {job_id} has no hold to capture {captured} micro-credits of")
    if hold.status != "held":
        if hold.captured == captured:
            return []
        raise Problem(
            "HOLD_RESOLVED", f"The hold of job {job_id} was resolved with {hold.captured}, not {captured} micro-credits"
        )
    if captured > hold.amount:
        raise Problem(
            "CAPTURE_EXCEEDS_HOLD", f"Job {job_id} holds {hold.amount} micro-credits, so {captured} can't be captured"
        )
    events: list[Event] = _expiries(account, user_id, now)
    spent, rest = split(hold.allocations, captured)
    if captured:
        events.append(HoldCaptured(job_id, user_id, captured, spent))
    if rest or not captured:
        events.append(HoldReleased(job_id, user_id, hold.amount - captured, rest))
    returned_too_late = [allocation for allocation in rest if account.grants[allocation.grant_id].is_expired(now)]
    events += [GrantExpired(allocation.grant_id, user_id, allocation.amount) for allocation in returned_too_late]
    return events


def _expiries(account: Account, user_id: UUID, now: datetime) -> list[Event]:
    due = [grant for grant in account.grants.values() if grant.available and grant.is_expired(now)]
    return [GrantExpired(grant.grant_id, user_id, grant.available) for grant in due]
