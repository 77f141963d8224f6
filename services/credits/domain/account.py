"""A user's credits: grants add some, a job's hold sets some aside, and a capture spends what its generations cost.

Amounts are integers of 10^-6 credit. Commands and decisions: decisions.py. Used-up grants and resolved holds leave the
state, so its size depends on what is open, not on the length of the history; closed.py has the closed ones.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

import msgspec

from services.credits.domain.grants import NONE, Grant, OpenGrants
from services.credits.domain.spending import NO_SPENDING, Spending, spending_after
from shared.contracts.credits import (
    Allocation,
    CreditsGranted,
    CreditsLow,
    GrantExpired,
    GrantReversed,
    HoldCaptured,
    HoldDeclined,
    HoldExtended,
    HoldPlaced,
    HoldQuestioned,
    HoldReleased,
    SpendLimitsSet,
)
from shared.contracts.event import Event
from shared.persistent import Map

# State


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """Credits set aside for a round of a job. `allocations`: what is held of each grant, in the order of spending.

    The hold of a job's request has the job's id, those of its resumes have ids of their own.
    """

    hold_id: UUID
    amount: int
    allocations: tuple[Allocation, ...] = ()
    deadline: datetime | None = None
    """When the job's service is asked, or asked again, whether the job is open. None: placed by an early release."""
    day: str | None = None


class OpenHolds:
    """The holds that are not resolved, by id. Immutable and persistent: a change copies no other hold."""

    __slots__ = ("_by_id",)

    def __init__(self, by_id: Map[UUID, Hold] = NONE) -> None:
        self._by_id = by_id

    def __len__(self) -> int:
        return len(self._by_id)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OpenHolds) and self._by_id == other._by_id

    def __hash__(self) -> int:
        return hash(self._by_id)

    def __repr__(self) -> str:
        return f"OpenHolds({self.to_plain()})"

    def get(self, hold_id: UUID) -> Hold | None:
        return self._by_id.get(hold_id)

    def __getitem__(self, hold_id: UUID) -> Hold:
        return self._by_id[hold_id]

    def with_hold(self, hold: Hold) -> "OpenHolds":
        return OpenHolds(self._by_id.set(hold.hold_id, hold))

    def without(self, hold_id: UUID) -> "OpenHolds":
        return OpenHolds(self._by_id.delete(hold_id))

    def to_plain(self) -> list[Hold]:
        return sorted(self._by_id.values(), key=lambda hold: hold.hold_id)

    @classmethod
    def from_plain(cls, plain: Any) -> "OpenHolds":
        return cls(Map({hold.hold_id: hold for hold in msgspec.convert(plain, list[Hold])}))


class Account(msgspec.Struct, frozen=True):
    """A user's open grants and holds, sums over its whole history in micro-credits, and counts.

    Invariant: `granted` is what the open grants have available and held, plus `spent`, `expired` and `reversed`.
    """

    grants: OpenGrants = OpenGrants()
    holds: OpenHolds = OpenHolds()
    granted: int = 0
    spent: int = 0
    expired: int = 0
    grant_count: int = msgspec.field(default=0, name="given")
    """Number of grants so far, closed ones included."""
    hold_count: int = msgspec.field(default=0, name="decided")
    """Number of holds that were placed or declined so far."""
    reversed: int = 0
    reversal_count: int = 0
    spending: Spending = NO_SPENDING

    def available(self, now: datetime) -> int:
        return self.grants.available - sum(grant.available for grant in self.grants.due(now))


Pot = Literal["available", "held", "spent", "expired", "reversed"]

# Events


def evolve(account: Account, event: Event) -> Account:
    moved = _moved_by(account, event)
    spending = spending_after(account.spending, event, moved.grants.available)
    return moved if spending is moved.spending else msgspec.structs.replace(moved, spending=spending)


def _moved_by(account: Account, event: Event) -> Account:  # noqa: PLR0911 - a case for each event
    """The account after what an event does to its grants and holds."""
    replace = msgspec.structs.replace
    match event:
        case CreditsGranted():
            return _granted(account, event)
        case HoldPlaced():
            deadline = None if event.deadline is None else datetime.fromisoformat(event.deadline)
            hold = Hold(event.hold_id or event.job_id, event.amount, tuple(event.allocations), deadline, event.day)
            return replace(
                account,
                grants=_moved(account.grants, event.allocations, "available", "held"),
                holds=account.holds.with_hold(hold),
                hold_count=account.hold_count + 1,
            )
        case HoldQuestioned(ask_again_at=time) | HoldExtended(deadline=time):
            hold = replace(account.holds[event.hold_id or event.job_id], deadline=datetime.fromisoformat(time))
            return replace(account, holds=account.holds.with_hold(hold))
        case HoldDeclined():
            return replace(account, hold_count=account.hold_count + 1)
        case HoldCaptured():
            hold = account.holds[event.hold_id or event.job_id]
            _, rest = split(hold.allocations, event.amount)
            remaining = replace(hold, allocations=tuple(rest))  # the same decision releases it
            return replace(
                account,
                grants=_moved(account.grants, event.allocations, "held", "spent"),
                holds=account.holds.with_hold(remaining) if rest else account.holds.without(hold.hold_id),
                spent=account.spent + event.amount,
            )
        case HoldReleased():
            return replace(
                account,
                grants=_moved(account.grants, event.allocations, "held", "available"),
                holds=account.holds.without(event.hold_id or event.job_id),
            )
        case GrantExpired():
            return replace(
                account,
                grants=_moved(account.grants, [Allocation(event.grant_id, event.amount)], "available", "expired"),
                expired=account.expired + event.amount,
            )
        case GrantReversed():
            return replace(
                account,
                grants=_moved(account.grants, _parts_of(event), "available", "reversed"),
                reversed=account.reversed + event.amount,
                reversal_count=account.reversal_count + 1,
            )
        case SpendLimitsSet() | CreditsLow():
            return account  # spending.py
        case _:
            raise AssertionError(f"{event!r} is not an event of an account")


def _granted(account: Account, event: CreditsGranted) -> Account:
    grant = Grant(
        grant_id=event.grant_id,
        amount=event.amount,
        priority=event.priority,
        expires_at=None if event.expires_at is None else datetime.fromisoformat(event.expires_at),
        order=account.grant_count,
        available=event.amount,
    )
    return msgspec.structs.replace(
        account,
        grants=account.grants.with_changed([grant]),
        granted=account.granted + event.amount,
        grant_count=account.grant_count + 1,
    )


def _parts_of(event: GrantReversed) -> list[Allocation]:
    """None if nothing was available: the grant may be used up, and no longer in the state."""
    return [Allocation(event.grant_id, event.amount)] if event.amount else []


def _moved(grants: OpenGrants, allocations: Sequence[Allocation], source: Pot, target: Pot) -> OpenGrants:
    changed = dict[UUID, Grant]()
    for allocation in allocations:
        grant = changed.get(allocation.grant_id) or grants[allocation.grant_id]
        pots = {source: getattr(grant, source) - allocation.amount, target: getattr(grant, target) + allocation.amount}
        changed[grant.grant_id] = msgspec.structs.replace(grant, **pots)
    return grants.with_changed(list(changed.values()))


def split(allocations: Sequence[Allocation], amount: int) -> tuple[list[Allocation], list[Allocation]]:
    """Splits allocations, in their order, into the first `amount` micro-credits and the rest."""
    first: list[Allocation] = []
    rest: list[Allocation] = []
    for allocation in allocations:
        part = min(allocation.amount, amount)
        amount -= part
        if part:
            first.append(Allocation(allocation.grant_id, part))
        if allocation.amount > part:
            rest.append(Allocation(allocation.grant_id, allocation.amount - part))
    return first, rest
