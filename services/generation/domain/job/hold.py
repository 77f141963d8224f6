"""The decision of the credits service on a job's quote: its credits are held, or the hold was declined."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.generation.domain.job.state import OPEN, OVER_LIMIT, Job
from shared.contracts.event import Event
from shared.contracts.generation import (
    JobAuthorized,
    JobDisowned,
    JobHoldConfirmed,
    JobRejected,
    JobResumeRejected,
    hold_id,
)

OTHERS_REASON = "The collection's owner, who pays for its previews, has too few credits for it"
OTHERS_LIMIT = "The collection's owner, who pays for its previews, has a spend limit that it is over"
"""These are of a decline of another user's credits."""


class Authorize(msgspec.Struct, frozen=True):
    """`held` micro-credits of this user are held for a round of the job. `hold_id` None: for its request."""

    job_id: UUID
    user_id: UUID
    held: int
    hold_id: UUID | None = None


class Reject(msgspec.Struct, frozen=True):
    """The hold was declined. `code` and `reason` are shown to the user."""

    code: str
    reason: str
    hold_id: UUID | None = None


class ConfirmHold(msgspec.Struct, frozen=True):
    """Credits asks whether the job that this hold of a user is for is still open. `hold_id` None: of its request."""

    job_id: UUID
    user_id: UUID
    hold_id: UUID | None = None


def confirm(command: ConfirmHold, state: Job) -> Sequence[Event]:
    """`job_hold_confirmed` if the job is open and the hold is its round's; else `job_disowned`, which releases it.

    The events of a job reach credits in their order: of a job that has ended, credits has seen the end before this.
    """
    ids = (command.job_id, command.user_id, command.hold_id)
    if state.account_id == command.user_id and state.status in OPEN:
        current = hold_id(command.job_id, state.round)
        if (command.hold_id or command.job_id) == current:
            return [JobHoldConfirmed(*ids)]
    return [JobDisowned(*ids)]


def authorize(command: Authorize, state: Job) -> Sequence[Event]:
    """A pending round starts if exactly its quote is held, else it is rejected. Nothing for another round's hold.

    For a hold of a job that this user doesn't have, or does not pay, or of a round that the job has not had (it was
    lost in a restore), records `job_disowned`, so that credits releases the hold.
    """
    if state.account_id != command.user_id:
        return [JobDisowned(job_id=command.job_id, user_id=command.user_id, hold_id=command.hold_id)]
    if command.hold_id is not None and not state.has_had(command.hold_id):
        return [JobDisowned(job_id=command.job_id, user_id=command.user_id, hold_id=command.hold_id)]
    if not _is_awaited(command.hold_id, state):
        return []
    if command.held != state.quoted:
        message = "Credits holds another amount than the job was quoted"
        return reject(Reject("HOLD_DIFFERS", message, command.hold_id), state)
    return [JobAuthorized(job_id=command.job_id, held=command.held, round=state.round)]


def reject(command: Reject, state: Job) -> Sequence[Event]:
    """Nothing if the job is not waiting for this hold. A job whose resume is rejected is what it was before.

    Its user does not see how many credits another payer has, nor that user's limits.
    """
    if not _is_awaited(command.hold_id, state) or state.job_id is None:
        return []
    others = OTHERS_LIMIT if command.code == OVER_LIMIT else OTHERS_REASON
    reason = command.reason if state.account_id == state.user_id else others
    if state.round:
        assert state.user_id is not None, "a resumed job has an owner"
        return [
            JobResumeRejected(
                job_id=state.job_id,
                user_id=state.user_id,
                round=state.round,
                code=command.code,
                reason=reason,
                status=state.before_resume,
                generations=state.resumed,
                quoted=state.quoted,
                payer_id=state.payer_id,
            )
        ]
    return [
        JobRejected(
            job_id=state.job_id, code=command.code, reason=reason, user_id=state.user_id, payer_id=state.payer_id
        )
    ]


def _is_awaited(held: UUID | None, state: Job) -> bool:
    """Whether the job waits for this hold. One that is being stopped waits for none: credits releases it."""
    if state.status != "pending" or state.stopping or state.job_id is None:
        return False
    return (held or state.job_id) == hold_id(state.job_id, state.round)
