"""Spend limits of a user: set by the user or by an operator, and shown with the balance."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import put
from litestar.di import NamedDependency
from litestar.params import KwargDefinition

from services.credits.domain.amounts import to_micro_or_zero
from services.credits.domain.spending import Limits, SetLimits, Spending, limits_left
from services.credits.handlers import CommandHandlers
from services.credits.queries import Balance
from shared.contracts.amounts import MICRO, to_credits
from shared.http import CommandContext, Envelope, FromPath, JSONBody, User
from shared.http.amounts import Credits, ExactResponse, MaybeCredits

AmountOrNone = Annotated[
    Decimal | None,
    KwargDefinition(
        schema_extra={"type": ["number", "string", "null"], "examples": [25, "0.5"]},
        description="At least 0, with at most 6 decimals; null or left out: none",
    ),
]


class LimitsOfOperator(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`daily`: most credits that jobs may hold or spend in a UTC day. `per_job`: most for one job."""

    daily: AmountOrNone = None
    per_job: AmountOrNone = None


class LimitsOfUser(LimitsOfOperator, frozen=True, forbid_unknown_fields=True):
    """`low_threshold`: your credits are low when less is available."""

    low_threshold: AmountOrNone = None


class LimitPair(msgspec.Struct, frozen=True):
    daily: MaybeCredits
    per_job: MaybeCredits


class LimitsView(msgspec.Struct, frozen=True):
    """`daily` and `per_job`: the lower ones of `user` and `operator`, which apply; null: no limit.

    `left_today`: what jobs may still cost until 00:00 UTC; what is released of today's holds is given back.
    """

    daily: MaybeCredits
    per_job: MaybeCredits
    left_today: MaybeCredits
    low_threshold: MaybeCredits
    user: LimitPair
    operator: LimitPair


class BalanceView(msgspec.Struct, frozen=True):
    """Credits: `available` to spend now, `held` for jobs that have not ended, `spent` by jobs so far.

    `is_low`: less is available than your `low_threshold`. With `at`, both are null.
    """

    available: Credits
    held: Credits
    spent: Credits
    limits: LimitsView | None
    is_low: bool | None


def balance_view(balance: Balance, spending: Spending | None, now: datetime) -> BalanceView:
    """A balance with the limits of its account at `now`. `spending` None: of an earlier moment."""
    threshold = None if spending is None else spending.low_threshold
    is_low = threshold is not None and balance.available * MICRO < threshold
    return BalanceView(
        available=balance.available,
        held=balance.held,
        spent=balance.spent,
        limits=None if spending is None else limits_view(spending, now),
        is_low=None if spending is None else is_low,
    )


def limits_view(spending: Spending, now: datetime) -> LimitsView:
    """The limits of both sides, those that apply, and what is left of the day of `now`."""
    limits = limits_left(spending, now)
    daily = [limit for limit in limits if limit.name == "daily"]
    return LimitsView(
        daily=_lowest([limit.amount for limit in daily]),
        per_job=_lowest([limit.amount for limit in limits if limit.name == "per_job"]),
        left_today=_lowest([limit.left for limit in daily]),
        low_threshold=_credits(spending.low_threshold),
        user=_pair(spending.user),
        operator=_pair(spending.operator),
    )


def _pair(limits: Limits) -> LimitPair:
    return LimitPair(_credits(limits.daily), _credits(limits.per_job))


def _lowest(amounts: list[int]) -> Decimal | None:
    return _credits(min(amounts, default=None))


def _credits(micro: int | None) -> Decimal | None:
    return None if micro is None else to_credits(micro)


def _micro(amount: Decimal | None, pointer: str) -> int | None:
    return None if amount is None else to_micro_or_zero(amount, pointer)


@put("/credits/limits", summary="Set your spend limits", response_class=ExactResponse)
async def set_limits(
    data: JSONBody[LimitsOfUser],
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[LimitsView]:
    """Replaces all three. A job over a limit is refused with 402, and what was held before it is not affected.

    An operator's limits apply beside yours: the lower one counts.
    """
    command = SetLimits(
        user_id=principal.user_id,
        set_by="user",
        daily=_micro(data.daily, "/daily"),
        per_job=_micro(data.per_job, "/per_job"),
        low_threshold=_micro(data.low_threshold, "/low_threshold"),
        now=handlers.clock(),
    )
    handled = await handlers.handle(command, context)
    return Envelope(limits_view(handled.state.spending, command.now))


@put(
    "/credits/limits/{user_id:uuid}",
    summary="Set a user's spend limits",
    response_class=ExactResponse,
    opt={"roles": {"operator"}},
)
async def set_limits_of_user(
    user_id: FromPath[UUID],
    data: JSONBody[LimitsOfOperator],
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[LimitsView]:
    """For operators. Replaces both; the user's own limits apply beside them, and the lower one counts."""
    command = SetLimits(
        user_id=user_id,
        set_by="operator",
        daily=_micro(data.daily, "/daily"),
        per_job=_micro(data.per_job, "/per_job"),
        low_threshold=None,
        now=handlers.clock(),
    )
    handled = await handlers.handle(command, context)
    return Envelope(limits_view(handled.state.spending, command.now))
