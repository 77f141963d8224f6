"""Spend limits of a user, set by the user or by an operator."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import put
from litestar.di import NamedDependency
from litestar.params import KwargDefinition

from services.credits.domain.amounts import to_micro_or_zero
from services.credits.domain.spending import SetLimits
from services.credits.handlers import CommandHandlers
from services.credits.views import LimitsView, limits_view
from shared.http import CommandContext, Envelope, FromPath, JSONBody, User
from shared.http.amounts import ExactResponse

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
