"""HTTP → command or query → response. Amounts are JSON numbers, exact to 6 decimals in both directions."""

from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Annotated
from uuid import UUID, uuid5

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import KwargDefinition
from msgspec import Meta

from services.credits.domain.amounts import to_micro
from services.credits.domain.closed import grant_after
from services.credits.domain.decisions import GrantCredits
from services.credits.handlers import CommandHandlers
from services.credits.queries import Balance, LedgerEntry, Queries
from shared.contracts.amounts import to_credits
from shared.contracts.problem import Detail, Problem
from shared.contracts.times import in_utc
from shared.http import (
    LAST_NUMBER,
    CommandContext,
    Cursor,
    Envelope,
    FromQuery,
    JSONBody,
    Limit,
    Page,
    User,
    cursor_number,
    next_cursor,
)
from shared.http.amounts import Credits, ExactResponse
from shared.http.positions import following
from shared.runtime import Runtime

Text = Annotated[str, Meta(min_length=1, max_length=200)]


class NewGrant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credits for a user. Lower `priority` is used first, then the nearest `expires_at`, then the oldest grant.

    `external_id` names the grant in the system that it comes from: idempotent per user.
    """

    user_id: UUID
    amount: Annotated[
        Decimal,
        KwargDefinition(
            schema_extra={"type": ["number", "string"], "examples": [12.5, "0.000123"]},
            description="Above 0, with at most 6 decimals; a number or a string, read digit by digit",
        ),
    ]
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


@get("/credits", summary="Your credits", response_class=ExactResponse, opt=following("generation"))
async def read_balance(
    principal: User, queries: NamedDependency[Queries], runtime: NamedDependency[Runtime]
) -> Envelope[Balance]:
    """Credits that are available, held for jobs, and spent."""
    return Envelope(await queries.balance(principal.user_id, runtime.clock()))


@get("/credits/entries", summary="Your ledger", response_class=ExactResponse, opt=following("generation"))
async def list_entries(
    principal: User,
    queries: NamedDependency[Queries],
    limit: Limit = 50,
    cursor: Cursor = None,
    job_id: FromQuery[UUID | None] = None,
) -> Page[LedgerEntry]:
    """Every movement of your credits, newest first; with `job_id`, those of one job."""
    before = cursor_number(cursor, LAST_NUMBER)
    entries = await queries.entries(principal.user_id, before=before, limit=limit + 1, job_id=job_id)
    return Page(entries[:limit], next_cursor(entries, limit, attrgetter("position")))


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


ROUTES = [read_balance, list_entries, give_grant]
