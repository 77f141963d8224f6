"""The decision of the credits service on a job's quote: its credits are held, or the hold was declined."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.generation.domain.job.state import Job
from shared.contracts.event import Event
from shared.contracts.generation import JobAuthorized, JobDisowned, JobRejected


class Authorize(msgspec.Struct, frozen=True):
    """`held` micro-credits of this user are held for the job."""

    job_id: UUID
    user_id: UUID
    held: int


class Reject(msgspec.Struct, frozen=True):
    """The hold was declined. `code` and `reason` are shown to the user."""

    code: str
    reason: str


def authorize(command: Authorize, state: Job) -> Sequence[Event]:
    """A pending job starts if exactly its quote is held, else it is rejected.

    A hold for a job that this user doesn't have disowns the job, so that credits releases the hold.
    """
    if state.user_id != command.user_id:
        return [JobDisowned(job_id=command.job_id, user_id=command.user_id)]
    if state.status != "pending":
        return []
    if command.held != state.quoted:
        return reject(Reject("HOLD_DIFFERS", "Credits holds another amount than the job was quoted"), state)
    return [JobAuthorized(job_id=command.job_id, held=command.held)]


def reject(command: Reject, state: Job) -> Sequence[Event]:
    """Nothing if the job is not pending."""
    if state.status != "pending" or state.job_id is None:
        return []
    return [JobRejected(job_id=state.job_id, code=command.code, reason=command.reason, user_id=state.user_id)]
