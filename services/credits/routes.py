"""HTTP → command or query → response. Amounts are JSON numbers, exact to 6 decimals in both directions."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated
from uuid import UUID, uuid5

import msgspec
from litestar import Router, get, post
from litestar.params import KwargDefinition
from msgspec import Meta

from services.credits import queries
from services.credits.domain.amounts import to_credits, to_micro
from services.credits.domain.decisions import GiveGrant
from services.credits.domain.outcomes import grant_after
from services.credits.handlers import Ledger
from services.credits.queries import Balance, Entry
from shared.contracts.problem import Detail, Problem
from shared.contracts.times import in_utc
from shared.eventstore import EventStore
from shared.http import (
    CommandContext,
    Cursor,
    Envelope,
    FromQuery,
    JSONBody,
    Limit,
    Page,
    User,
    decode_cursor,
    encode_cursor,
)
from shared.http.amounts import Credits, ExactResponse
from shared.http.positions import following

NEWEST = 2**62
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


def routes(ledger: Ledger, store: EventStore) -> Router:
    @get("/credits", summary="Your credits", opt=following("generation"))
    async def read_balance(principal: User) -> Envelope[Balance]:
        """Credits that are available, held for jobs, and spent."""
        return Envelope(await queries.balance(store, principal.user_id, ledger.clock()))

    @get("/credits/entries", summary="Your ledger", opt=following("generation"))
    async def list_entries(
        principal: User, limit: Limit = 50, cursor: Cursor = None, job_id: FromQuery[UUID | None] = None
    ) -> Page[Entry]:
        """Every movement of your credits, newest first; with `job_id`, those of one job."""
        before = NEWEST if cursor is None else max(0, min(decode_cursor(cursor, int), NEWEST))
        entries = await queries.entries(store, principal.user_id, before=before, limit=limit + 1, job_id=job_id)
        page = entries[:limit]
        return Page(page, encode_cursor(page[-1].position) if len(entries) > limit else None)

    @post("/credits/grants", summary="Give a user credits", opt={"roles": {"operator"}})
    async def give_grant(data: JSONBody[NewGrant], context: CommandContext) -> Envelope[GrantView]:
        """For operators. The same `external_id`, or the same Idempotency-Key, gives the same grant again."""
        seed = f"grant {data.external_id}" if data.external_id is not None else f"grant of {context.command_id}"
        command = GiveGrant(
            grant_id=uuid5(data.user_id, seed),
            user_id=data.user_id,
            amount=to_micro(data.amount, "/amount"),
            source=data.source,
            priority=data.priority,
            expires_at=None if data.expires_at is None else in_utc(data.expires_at, "/expires_at"),
            external_id=data.external_id,
            now=ledger.clock(),
        )
        # The grant's id makes it idempotent, and lets the decision refuse a repeat with other values.
        handled = await ledger.carry_out(command, msgspec.structs.replace(context, repeatable=False))
        grant = grant_after(None, handled.events, command.grant_id)
        grant = grant or await ledger.outcomes.grant(data.user_id, command.grant_id, handled.position)
        if grant is None:
            raise Problem(
                "IDEMPOTENCY_KEY_REUSED",
                "This Idempotency-Key was used for another grant",
                Detail("header:Idempotency-Key", "was used for another grant"),
            )
        view = GrantView(
            id=command.grant_id,
            user_id=data.user_id,
            amount=to_credits(grant.amount),
            source=grant.source,
            priority=grant.priority,
            expires_at=grant.expires_at,
            external_id=grant.external_id,
        )
        return Envelope(view)

    return Router("/", route_handlers=[read_balance, list_entries, give_grant], response_class=ExactResponse)
