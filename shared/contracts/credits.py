"""Events of the credits service. Every amount is an integer of 10^-6 credit (micro-credits)."""

from typing import ClassVar
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.language import Upcaster


class AccountEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "account"


class Allocation(msgspec.Struct, frozen=True):
    """What one grant gives to a hold."""

    grant_id: UUID
    amount: int


class CreditsGranted(AccountEvent, frozen=True, tag="credits_granted.v1"):
    """A user got credits. Lower `priority` is used first, then the nearest expiry, then the oldest."""

    grant_id: UUID
    user_id: UUID
    amount: int
    source: str
    priority: int
    expires_at: str | None
    """RFC 3339, UTC; None never expires."""
    external_id: str | None


class HoldPlaced(AccountEvent, frozen=True, tag="hold_placed.v1"):
    """A job's credits are set aside; a job has one hold."""

    job_id: UUID
    user_id: UUID
    amount: int
    allocations: list[Allocation]


class HoldDeclined(AccountEvent, frozen=True, tag="hold_declined.v1"):
    """The account has less available than the job was quoted."""

    job_id: UUID
    user_id: UUID
    amount: int
    available: int


class HoldCaptured(AccountEvent, frozen=True, tag="hold_captured.v1"):
    """The part of a hold that the job's succeeded generations cost was spent. A hold resolves once."""

    job_id: UUID
    user_id: UUID
    amount: int
    allocations: list[Allocation]


class HoldReleased(AccountEvent, frozen=True, tag="hold_released.v1"):
    """The rest of a hold went back to the grants that it came from."""

    job_id: UUID
    user_id: UUID
    amount: int
    allocations: list[Allocation]


class GrantExpired(AccountEvent, frozen=True, tag="grant_expired.v1"):
    """What was left of a grant at its expiry can no longer be spent."""

    grant_id: UUID
    user_id: UUID
    amount: int


EVENTS: tuple[type[Event], ...] = (CreditsGranted, HoldPlaced, HoldDeclined, HoldCaptured, HoldReleased, GrantExpired)

UPCASTERS: dict[str, Upcaster] = {}
"""By the tag that it takes: what makes the next version out of a version that is no longer among EVENTS."""
