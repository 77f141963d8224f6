"""The reversal of a grant: what it has available is taken back, never what jobs hold or have spent."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.credits.domain.account import Account
from services.credits.domain.closed import GrantTerms, ReversalTerms
from shared.contracts.amounts import to_credits
from shared.contracts.credits import GrantReversed
from shared.contracts.problem import Detail, Problem, invalid


class ReverseGrant(msgspec.Struct, frozen=True):
    """Take back `amount` micro-credits of a grant, or what is left of them; None: all that is left of the grant.

    Idempotent by `reversal_id`, which is derived from `external_id`.
    """

    reversal_id: UUID
    grant_id: UUID
    user_id: UUID
    amount: int | None
    reason: str
    external_id: str
    now: datetime


def reverse(
    command: ReverseGrant, account: Account, grant: GrantTerms | None, existing: ReversalTerms | None
) -> list[GrantReversed]:
    """The reversal, which takes 0 if nothing is available; none if it was recorded before.

    `grant`: its terms if it is no longer in the account. Raises NOT_FOUND for an unknown grant, VALIDATION_FAILED for
    more than was granted, and IDEMPOTENCY_KEY_REUSED if `external_id` names a reversal of another grant or amount.
    """
    if existing is not None:
        if (existing.grant_id, existing.requested) == (command.grant_id, command.amount):
            return []
        raise Problem(
            "IDEMPOTENCY_KEY_REUSED",
            f"This reversal exists already: it took back {to_credits(existing.amount)} credits",
            Detail("/external_id", "names a reversal of another grant, or of another amount"),
        )
    open_grant = account.grants.get(command.grant_id)
    terms = open_grant or grant
    if terms is None:
        raise Problem("NOT_FOUND", "This user has no such grant", Detail("/user_id", "has no grant of this id"))
    if command.amount is not None and command.amount > terms.amount:
        limit = to_credits(terms.amount)
        raise invalid("The grant is smaller than that", Detail("/amount", f"must be at most {limit}, as was granted"))
    available = held = 0
    if open_grant is not None:
        held = open_grant.held
        available = 0 if open_grant.is_expired(command.now) else open_grant.available
    most = available + held if command.amount is None else command.amount
    amount = min(most, available)
    return [
        GrantReversed(
            reversal_id=command.reversal_id,
            grant_id=command.grant_id,
            user_id=command.user_id,
            amount=amount,
            missing=most - amount,
            requested=command.amount,
            reason=command.reason,
            external_id=command.external_id,
        )
    ]
