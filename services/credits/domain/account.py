"""A user's credits: grants come in, a job's hold sets some aside, and what its generations cost is spent.

Amounts are integers of 10^-6 credit. What is decided about an account: decisions.py.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec

from shared.contracts.credits import (
    Allocation,
    CreditsGranted,
    GrantExpired,
    HoldCaptured,
    HoldDeclined,
    HoldPlaced,
    HoldReleased,
)
from shared.contracts.event import Event

# State


class Grant(msgspec.Struct, frozen=True):
    """Where every micro-credit of a grant is: `amount == available + held + spent + expired`."""

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

    def is_expired(self, now: datetime) -> bool:
        return self.expires_at is not None and self.expires_at <= now


class Hold(msgspec.Struct, frozen=True):
    """What is set aside for a job. `allocations` is what is still held, in the order in which it is spent."""

    amount: int
    status: Literal["held", "captured", "released", "declined"]
    allocations: tuple[Allocation, ...] = ()
    captured: int = 0


class Account(msgspec.Struct, frozen=True):
    """A user's ledger. Holds stay known after they are resolved, so that a job is never held or charged twice."""

    grants: dict[UUID, Grant] = {}
    holds: dict[UUID, Hold] = {}

    def spendable(self, now: datetime) -> list[Grant]:
        """Grants with something available, in the order of use: priority, then nearest expiry, then oldest."""
        usable = [grant for grant in self.grants.values() if grant.available and not grant.is_expired(now)]
        return sorted(usable, key=lambda grant: (grant.priority, grant.expires_at or NEVER, grant.order))

    def available(self, now: datetime) -> int:
        return sum(grant.available for grant in self.spendable(now))


NEVER = datetime.max.replace(tzinfo=UTC)
Pot = Literal["available", "held", "spent", "expired"]

# What happens


def evolve(account: Account, event: Event) -> Account:
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
            )
            return msgspec.structs.replace(account, grants={**account.grants, grant.grant_id: grant})
        case HoldPlaced():
            hold = Hold(event.amount, "held", tuple(event.allocations))
            return _moved(account, event.allocations, "available", "held", {event.job_id: hold})
        case HoldDeclined():
            return _moved(account, [], "available", "held", {event.job_id: Hold(event.amount, "declined")})
        case HoldCaptured():
            hold = account.holds[event.job_id]
            _, rest = split(hold.allocations, event.amount)
            hold = Hold(hold.amount, "captured", tuple(rest), captured=event.amount)
            return _moved(account, event.allocations, "held", "spent", {event.job_id: hold})
        case HoldReleased():
            hold = account.holds[event.job_id]
            hold = Hold(hold.amount, "captured" if hold.captured else "released", captured=hold.captured)
            return _moved(account, event.allocations, "held", "available", {event.job_id: hold})
        case GrantExpired():
            return _moved(account, [Allocation(event.grant_id, event.amount)], "available", "expired", {})
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
    return Account(grants=grants, holds={**account.holds, **holds})


def split(allocations: Sequence[Allocation], amount: int) -> tuple[list[Allocation], list[Allocation]]:
    """The first `amount` of the allocations in their order, and what remains of them."""
    taken: list[Allocation] = []
    rest: list[Allocation] = []
    for allocation in allocations:
        part = min(allocation.amount, amount)
        amount -= part
        if part:
            taken.append(Allocation(allocation.grant_id, part))
        if allocation.amount > part:
            rest.append(Allocation(allocation.grant_id, allocation.amount - part))
    return taken, rest
