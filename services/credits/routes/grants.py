"""Grants: an operator gives a user credits."""

from datetime import datetime
from typing import Annotated
from uuid import UUID, uuid5

import msgspec
from litestar import post
from litestar.di import NamedDependency
from msgspec import Meta

from services.credits.domain.amounts import to_micro
from services.credits.domain.closed import grant_after
from services.credits.domain.decisions import GrantCredits
from services.credits.handlers import CommandHandlers
from services.credits.routes.forms import Amount, Text
from shared.contracts.amounts import to_credits
from shared.contracts.problem import Detail, Problem
from shared.contracts.times import in_utc
from shared.http import CommandContext, Envelope, JSONBody
from shared.http.amounts import Credits, ExactResponse


class NewGrant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credits for a user. Lower `priority` is used first, then the nearest `expires_at`, then the oldest grant.

    `external_id` names the grant in the system that it comes from: idempotent per user.
    """

    user_id: UUID
    amount: Amount
    source: Text = "operator"
    priority: Annotated[int, Meta(ge=0, le=1000)] = 100
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None
    external_id: Text | None = None


class GrantView(msgspec.Struct, frozen=True):
    id: UUID
    user_id: UUID
    amount: Credits
    source: str
    priority: int
    expires_at: datetime | None
    external_id: str | None


@post("/credits/grants", summary="Give a user credits", response_class=ExactResponse, opt={"roles": {"operator"}})
async def give_grant(
    data: JSONBody[NewGrant], context: CommandContext, handlers: NamedDependency[CommandHandlers]
) -> Envelope[GrantView]:
    """For operators. The same `external_id`, or the same Idempotency-Key, gives the same grant again."""
    seed = f"grant {data.external_id}" if data.external_id is not None else f"grant of {context.command_id}"
    command = GrantCredits(
        grant_id=uuid5(data.user_id, seed),
        user_id=data.user_id,
        amount=to_micro(data.amount, "/amount"),
        source=data.source,
        priority=data.priority,
        expires_at=None if data.expires_at is None else in_utc(data.expires_at, "/expires_at"),
        external_id=data.external_id,
        now=handlers.clock(),
    )
    # The grant's id makes it idempotent, and lets the decision refuse a repeat with other values.
    handled = await handlers.handle(command, msgspec.structs.replace(context, repeatable=False))
    terms = grant_after(None, handled.events, command.grant_id)
    terms = terms or await handlers.closed.grant(data.user_id, command.grant_id, handled.position)
    if terms is None:
        raise Problem(
            "IDEMPOTENCY_KEY_REUSED",
            "This Idempotency-Key was used for another grant",
            Detail("header:Idempotency-Key", "was used for another grant"),
        )
    view = GrantView(
        id=command.grant_id,
        user_id=data.user_id,
        amount=to_credits(terms.amount),
        source=terms.source,
        priority=terms.priority,
        expires_at=terms.expires_at,
        external_id=terms.external_id,
    )
    return Envelope(view)
