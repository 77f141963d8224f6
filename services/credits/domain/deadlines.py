"""The deadline of a hold: past it, generation is asked whether the job is open, and the hold stays until it answers."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from services.credits.domain.account import Account
from shared.contracts.credits import HoldExtended, HoldQuestioned


class QuestionHold(msgspec.Struct, frozen=True):
    """Ask whether the job of a hold is open. `ask_again_at`: when to ask again if there is no answer."""

    user_id: UUID
    job_id: UUID
    now: datetime
    ask_again_at: datetime
    hold_id: UUID | None = None


class ExtendHold(msgspec.Struct, frozen=True):
    """The job is open: its hold stays, with a new deadline."""

    user_id: UUID
    job_id: UUID
    deadline: datetime
    hold_id: UUID | None = None


def question(command: QuestionHold, account: Account) -> list[HoldQuestioned]:
    """Nothing for a hold that is resolved, or not past its deadline (any more)."""
    hold = account.holds.get(command.hold_id or command.job_id)
    if hold is None or (hold.deadline is not None and hold.deadline > command.now):
        return []
    ask_again_at = command.ask_again_at.astimezone(UTC).isoformat()
    return [HoldQuestioned(command.job_id, command.user_id, ask_again_at, command.hold_id)]


def extend(command: ExtendHold, account: Account) -> list[HoldExtended]:
    """Nothing for a hold that is resolved."""
    if account.holds.get(command.hold_id or command.job_id) is None:
        return []
    deadline = command.deadline.astimezone(UTC).isoformat()
    return [HoldExtended(command.job_id, command.user_id, deadline, command.hold_id)]
