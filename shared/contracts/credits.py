"""Events of the credits service. Every amount is an integer of 10^-6 credit (micro-credits)."""

from typing import ClassVar, Literal
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.language import Upcaster


class AccountEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "account"


class Allocation(msgspec.Struct, frozen=True):
    """The part of a hold that comes from one grant."""

    grant_id: UUID
    amount: int


class CreditsGranted(AccountEvent, frozen=True, tag="credits_granted.v1"):
    """A user got credits. Grants are used by lowest `priority`, then nearest expiry, then age.

    With `job_id` it is a refund: credits that this job had captured come back.
    """

    grant_id: UUID
    user_id: UUID
    amount: int
    source: str
    priority: int
    expires_at: str | None
    """RFC 3339, UTC; None: it never expires."""
    external_id: str | None
    job_id: UUID | None = None
    reason: str | None = None
    """Why the job is refunded, in an operator's words."""


class HoldPlaced(AccountEvent, frozen=True, tag="hold_placed.v1"):
    """Credits are held for a round of a job.

    `hold_id` tells the holds of a job's rounds apart; None: that of round 0, whose id is the job's.
    """

    job_id: UUID
    user_id: UUID
    amount: int
    allocations: list[Allocation]
    hold_id: UUID | None = None
    deadline: str | None = None
    """RFC 3339, UTC: when generation is asked whether the job is still open. None in events of early releases."""
    day: str | None = None
    """The UTC day whose spending it adds to, as an ISO date; None in events of early releases, which count in none."""


class HoldQuestioned(AccountEvent, frozen=True, tag="hold_questioned.v1"):
    """A hold is open past its deadline: is its job? The hold stays until the job's service has answered."""

    job_id: UUID
    user_id: UUID
    ask_again_at: str
    """RFC 3339, UTC."""
    hold_id: UUID | None = None


class HoldExtended(AccountEvent, frozen=True, tag="hold_extended.v1"):
    """The job of a hold is open: the hold has a new deadline."""

    job_id: UUID
    user_id: UUID
    deadline: str
    """RFC 3339, UTC."""
    hold_id: UUID | None = None


class SpendLimit(msgspec.Struct, frozen=True):
    """A limit that a hold is over. Micro-credits; `left`: how much the account could still have held then."""

    name: Literal["daily", "per_job"]
    set_by: Literal["user", "operator"]
    amount: int
    left: int


class HoldDeclined(AccountEvent, frozen=True, tag="hold_declined.v1"):
    """The account has less available than the job was quoted, or the quote is over a limit of the account."""

    job_id: UUID
    user_id: UUID
    amount: int
    available: int
    hold_id: UUID | None = None
    limit: SpendLimit | None = None
    """The limit that it is over; None: too little is available."""


class HoldCaptured(AccountEvent, frozen=True, tag="hold_captured.v1"):
    """The cost of the job's completed generations was spent from its hold. A hold is resolved once."""

    job_id: UUID
    user_id: UUID
    amount: int
    allocations: list[Allocation]
    hold_id: UUID | None = None


class HoldReleased(AccountEvent, frozen=True, tag="hold_released.v1"):
    """The rest of a hold was returned to its grants."""

    job_id: UUID
    user_id: UUID
    amount: int
    allocations: list[Allocation]
    hold_id: UUID | None = None
    day: str | None = None
    """The day of the hold, whose spending it takes `amount` off."""


class GrantExpired(AccountEvent, frozen=True, tag="grant_expired.v1"):
    """What was left of a grant at its expiry can no longer be spent."""

    grant_id: UUID
    user_id: UUID
    amount: int


class GrantReversed(AccountEvent, frozen=True, tag="grant_reversed.v1"):
    """What a grant had available was taken back, for instance because its payment was returned.

    What jobs hold or have spent stays: `missing` is the part of the requested amount that was not available.
    """

    reversal_id: UUID
    grant_id: UUID
    user_id: UUID
    amount: int
    """What was taken back; 0 if nothing was available."""
    missing: int
    requested: int | None
    """None: all that is neither spent nor expired."""
    reason: str
    external_id: str


class SpendLimitsSet(AccountEvent, frozen=True, tag="spend_limits_set.v1"):
    """What jobs may cost the account, by its user or by an operator: both apply. Micro-credits; None: no limit.

    It replaces the limits of the same `set_by`.
    """

    user_id: UUID
    set_by: Literal["user", "operator"]
    daily: int | None
    """At most this is held or spent in a UTC day."""
    per_job: int | None
    """At most this is held or spent for one job."""
    low_threshold: int | None
    """`credits_low` is recorded when less is available. Only its user sets it; None with `set_by` operator."""


class CreditsLow(AccountEvent, frozen=True, tag="credits_low.v1"):
    """Less is available than the user's threshold. It is recorded again only after as much was available again."""

    user_id: UUID
    available: int
    threshold: int


EVENTS: tuple[type[Event], ...] = (
    CreditsGranted,
    HoldPlaced,
    HoldDeclined,
    HoldCaptured,
    HoldReleased,
    GrantExpired,
    GrantReversed,
    HoldQuestioned,
    HoldExtended,
    SpendLimitsSet,
    CreditsLow,
)

UPCASTERS: dict[str, Upcaster] = {}
"""Upcasters to the next version, by the tag that they take: for versions that are no longer in EVENTS."""
