"""Reversals and refunds of the ledger that keeps everything (full_ledger.py)."""

from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from services.credits.domain.refunds import RefundJob
from services.credits.domain.reversals import ReverseGrant
from shared.contracts.credits import CreditsGranted, GrantReversed
from shared.contracts.event import Event
from shared.contracts.problem import Problem, invalid


class Books(Protocol):
    """The parts of an account that are read here."""

    @property
    def grants(self) -> Mapping[UUID, Any]: ...
    @property
    def holds(self) -> Mapping[UUID, Any]: ...
    @property
    def reversals(self) -> Mapping[UUID, GrantReversed]: ...


def reverse(command: ReverseGrant, books: Books, expiries: list[Event]) -> list[Event]:
    earlier = books.reversals.get(command.reversal_id)
    if earlier is not None:
        if (earlier.grant_id, earlier.requested) == (command.grant_id, command.amount):
            return []
        raise Problem("IDEMPOTENCY_KEY_REUSED", "another reversal")
    if command.grant_id not in books.grants:
        raise Problem("NOT_FOUND", "no such grant")
    grant = books.grants[command.grant_id]
    if command.amount is not None and command.amount > grant.amount:
        raise invalid("more than was granted")
    available = 0 if grant.is_expired(command.now) else grant.available
    requested = available + grant.held if command.amount is None else command.amount
    amount = min(available, requested)
    missing, reason, external_id = requested - amount, command.reason, command.external_id
    ids = (command.reversal_id, command.grant_id, command.user_id)
    return [*expiries, GrantReversed(*ids, amount, missing, command.amount, reason, external_id)]


def refund(command: RefundJob, books: Books) -> CreditsGranted | None:
    earlier = books.grants.get(command.grant_id)
    if earlier is not None:
        if (earlier.job_id, earlier.amount) == (command.job_id, command.amount):
            return None
        raise Problem("IDEMPOTENCY_KEY_REUSED", "another refund")
    captured = sum(hold.captured for hold in books.holds.values() if hold.job_id == command.job_id)
    refunded = sum(grant.amount for grant in books.grants.values() if grant.job_id == command.job_id)
    if not captured:
        raise Problem("NOT_FOUND", "nothing captured")
    if command.amount > captured - refunded:
        raise Problem("REFUND_EXCEEDS_CAPTURE", "more than that")
    terms = (command.amount, "refund", 100, None, command.external_id, command.job_id, command.reason)
    return CreditsGranted(command.grant_id, command.user_id, *terms)
