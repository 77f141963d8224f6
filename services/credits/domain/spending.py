"""What jobs may cost an account: its limits by day and by job, and the threshold below which its credits are low.

The user and operators each set limits; a hold must be within all of them. A day is one in UTC. A hold counts in the day
in which it is placed; what is released of it no longer counts, and what is released of an earlier day's changes nothing
today. Amounts are integers of 10^-6 credit.
"""

from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

import msgspec

from shared.contracts.credits import CreditsLow, HoldPlaced, HoldReleased, SpendLimit, SpendLimitsSet
from shared.contracts.event import Event

# State


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Of one of both who set them. None: no limit."""

    daily: int | None = None
    per_job: int | None = None


NO_LIMITS = Limits()


class Spending(msgspec.Struct, frozen=True, omit_defaults=True):
    """`amount`: held or spent in `day`, the newest day of a hold. `is_low`: `credits_low` was recorded, and holds."""

    user: Limits = NO_LIMITS
    operator: Limits = NO_LIMITS
    low_threshold: int | None = None
    is_low: bool = False
    day: str = ""
    amount: int = 0

    @property
    def limits_jobs(self) -> bool:
        """Whether there is a limit per job."""
        return self.user.per_job is not None or self.operator.per_job is not None

    def today(self, now: datetime) -> str:
        """The day of a hold at `now`. Never before an earlier hold's, even if this replica's clock is behind."""
        return max(now.astimezone(UTC).date().isoformat(), self.day)

    def spent(self, now: datetime) -> int:
        """What was held or spent in the day of `now`."""
        return self.amount if self.day == self.today(now) else 0


NO_SPENDING = Spending()

# Events


def spending_after(before: Spending, event: Event, available: int) -> Spending:
    """`available`: after the event. The same object if nothing changes."""
    replace = msgspec.structs.replace
    after = before
    match event:
        case HoldPlaced(day=str(day), amount=amount):
            after = replace(before, day=day, amount=amount + (before.amount if before.day == day else 0))
        case HoldReleased(day=str(day), amount=amount) if day == before.day:
            after = replace(before, amount=before.amount - amount)
        case SpendLimitsSet(set_by="user"):
            limits = Limits(event.daily, event.per_job)
            is_low = before.is_low and event.low_threshold == before.low_threshold
            after = replace(before, user=limits, low_threshold=event.low_threshold, is_low=is_low)
        case SpendLimitsSet():
            after = replace(before, operator=Limits(event.daily, event.per_job))
        case CreditsLow():
            return replace(before, is_low=True)
        case _:
            pass
    if after.is_low and after.low_threshold is not None and available >= after.low_threshold:
        return replace(after, is_low=False)
    return after


# Decisions


class SetLimits(msgspec.Struct, frozen=True):
    """Replace the limits that a user or an operator has set. `low_threshold` is the user's."""

    user_id: UUID
    set_by: Literal["user", "operator"]
    daily: int | None
    per_job: int | None
    low_threshold: int | None
    now: datetime


def set_limits(command: SetLimits, spending: Spending) -> list[Event]:
    """No event if the limits are these already."""
    limits = Limits(command.daily, command.per_job)
    if command.set_by == "user":
        unchanged = (limits, command.low_threshold) == (spending.user, spending.low_threshold)
    else:
        unchanged = limits == spending.operator
    if unchanged:
        return []
    threshold = command.low_threshold if command.set_by == "user" else None
    return [SpendLimitsSet(command.user_id, command.set_by, command.daily, command.per_job, threshold)]


def exceeded_limit(spending: Spending, amount: int, now: datetime, spent_on_job: int = 0) -> SpendLimit | None:
    """The limit with the least left that a hold of `amount` is over; None if it is within all of them.

    `spent_on_job`: what earlier rounds of the job have captured. A hold of nothing is within any limit.
    """
    over = [limit for limit in limits_left(spending, now, spent_on_job) if amount > limit.left]
    return min(over, key=lambda limit: limit.left) if over and amount else None


def limits_left(spending: Spending, now: datetime, spent_on_job: int = 0) -> list[SpendLimit]:
    """Each limit that is set, with what is left of it at `now`: never below 0."""
    spent = spending.spent(now)
    sides: tuple[tuple[Literal["user", "operator"], Limits], ...]
    sides = (("operator", spending.operator), ("user", spending.user))
    limits: list[SpendLimit] = []
    for set_by, limit in sides:
        if limit.per_job is not None:
            limits.append(SpendLimit("per_job", set_by, limit.per_job, max(0, limit.per_job - spent_on_job)))
        if limit.daily is not None:
            limits.append(SpendLimit("daily", set_by, limit.daily, max(0, limit.daily - spent)))
    return limits


def low_notice(spending: Spending, user_id: UUID, available: int) -> list[Event]:
    """`credits_low`, if less is available than the user's threshold and it is not recorded yet."""
    threshold = spending.low_threshold
    if threshold is None or spending.is_low or available >= threshold:
        return []
    return [CreditsLow(user_id, available, threshold)]
