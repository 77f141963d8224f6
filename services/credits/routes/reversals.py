"""Reversals and refunds: an operator takes back what a grant has left, or gives back what a job has captured."""

from uuid import UUID, uuid5

import msgspec
from litestar import post
from litestar.di import NamedDependency

from services.credits.domain.amounts import to_micro
from services.credits.domain.closed import grant_after, reversal_after
from services.credits.domain.refunds import RefundJob
from services.credits.domain.reversals import ReverseGrant
from services.credits.handlers import CommandHandlers
from services.credits.routes.forms import Amount, OptionalAmount, Text
from shared.contracts.amounts import to_credits
from shared.http import CommandContext, Envelope, FromPath, JSONBody
from shared.http.amounts import Credits, ExactResponse


class NewReversal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to take back of a grant, and why; without `amount` all that is left of it. Idempotent by `external_id`."""

    user_id: UUID
    reason: Text
    external_id: Text
    amount: OptionalAmount = None


class ReversalView(msgspec.Struct, frozen=True):
    """`reversed`: credits that were taken back; `missing`: those that were to be, and are held or no longer there."""

    id: UUID
    grant_id: UUID
    user_id: UUID
    reversed: Credits
    missing: Credits
    reason: str
    external_id: str


class NewRefund(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credits that a job captured, to be given back to the user who paid for it. Idempotent by `external_id`."""

    user_id: UUID
    job_id: UUID
    amount: Amount
    reason: Text
    external_id: Text


class RefundView(msgspec.Struct, frozen=True):
    """`grant_id`: the grant that the credits came back as. It never expires."""

    grant_id: UUID
    user_id: UUID
    job_id: UUID
    amount: Credits
    reason: str
    external_id: str


@post(
    "/credits/grants/{grant_id:uuid}/reversals",
    summary="Take back what a grant has left",
    response_class=ExactResponse,
    opt={"roles": {"operator"}},
)
async def reverse_grant(
    grant_id: FromPath[UUID],
    data: JSONBody[NewReversal],
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[ReversalView]:
    """For operators. Takes back what is available, never what jobs hold or have spent; the answer says how much."""
    command = ReverseGrant(
        reversal_id=uuid5(data.user_id, f"reversal {data.external_id}"),
        grant_id=grant_id,
        user_id=data.user_id,
        amount=None if data.amount is None else to_micro(data.amount, "/amount"),
        reason=data.reason,
        external_id=data.external_id,
        now=handlers.clock(),
    )
    # The reversal's id makes it idempotent, as a grant's does.
    handled = await handlers.handle(command, msgspec.structs.replace(context, repeatable=False))
    terms = reversal_after(None, handled.events, command.reversal_id)
    terms = terms or await handlers.closed.reversal(data.user_id, command.reversal_id, handled.position)
    assert terms is not None, "the decision was recorded, now or before"
    return Envelope(
        ReversalView(
            id=command.reversal_id,
            grant_id=grant_id,
            user_id=data.user_id,
            reversed=to_credits(terms.amount),
            missing=to_credits(terms.missing),
            reason=terms.reason,
            external_id=terms.external_id,
        )
    )


@post("/credits/refunds", summary="Refund a job", response_class=ExactResponse, opt={"roles": {"operator"}})
async def refund_job(
    data: JSONBody[NewRefund], context: CommandContext, handlers: NamedDependency[CommandHandlers]
) -> Envelope[RefundView]:
    """For operators. Gives credits that a job captured back, as a new grant: at most what is not yet refunded."""
    command = RefundJob(
        grant_id=uuid5(data.user_id, f"refund {data.external_id}"),
        user_id=data.user_id,
        job_id=data.job_id,
        amount=to_micro(data.amount, "/amount"),
        reason=data.reason,
        external_id=data.external_id,
        now=handlers.clock(),
    )
    handled = await handlers.handle(command, msgspec.structs.replace(context, repeatable=False))
    terms = grant_after(None, handled.events, command.grant_id)
    terms = terms or await handlers.closed.grant(data.user_id, command.grant_id, handled.position)
    assert terms is not None, "the decision was recorded, now or before"
    return Envelope(
        RefundView(
            grant_id=command.grant_id,
            user_id=data.user_id,
            job_id=data.job_id,
            amount=to_credits(terms.amount),
            reason=terms.reason or data.reason,
            external_id=data.external_id,
        )
    )
