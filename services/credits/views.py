"""A balance and its spend limits as clients see them: micro-credits become credits."""

from datetime import datetime
from decimal import Decimal

import msgspec

from services.credits.domain.spending import Limits, Spending, limits_left
from services.credits.queries import Balance
from shared.contracts.amounts import MICRO, to_credits
from shared.http.amounts import Credits, MaybeCredits


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
