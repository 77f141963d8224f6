"""Turns job events of the generation service into commands on the users' accounts."""

from datetime import datetime
from uuid import UUID

from services.credits.domain.decisions import CaptureHold, Command, PlaceHold, ReleaseHold, ReleaseOpenHold
from services.credits.handlers import CommandHandlers
from shared.contracts.consumers import CREDITS_JOBS
from shared.contracts.generation import (
    JobCancelled,
    JobCompleted,
    JobDisowned,
    JobExpired,
    JobFailed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    JobResumed,
    JobResumeRejected,
    hold_id,
)
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer


def consumers(handlers: CommandHandlers) -> list[Consumer]:
    async def on_job(recorded: RecordedEvent) -> None:
        command = command_of(recorded, handlers.clock())
        await handlers.handle(command, recorded.context.caused(recorded.event_id, CREDITS_JOBS.name))

    return [Consumer.of(CREDITS_JOBS, on_job)]


def command_of(recorded: RecordedEvent, now: datetime) -> Command:
    """The command for a job event, on the payer's hold of the round that it is about.

    Raises ValueError without a user.
    """
    match recorded.event:
        case JobRequested(job_id=job_id, quoted=quoted) as event:
            return PlaceHold(_account(event), job_id, quoted, now)
        case JobResumed(job_id=job_id, round=round_, quoted=quoted) as event:
            return PlaceHold(_account(event), job_id, quoted, now, _later_hold(job_id, round_))
        case JobCompleted() | JobPartiallyCompleted() | JobCancelled() | JobExpired() as event:
            hold = _later_hold(event.job_id, event.round)
            return CaptureHold(_account(event), event.job_id, event.captured, now, hold)
        case JobFailed(job_id=job_id, round=round_) | JobResumeRejected(job_id=job_id, round=round_) as event:
            return ReleaseHold(_account(event), job_id, now, _later_hold(job_id, round_))
        case JobDisowned(job_id=job_id, user_id=user_id, hold_id=disowned):
            return ReleaseOpenHold(user_id, job_id, now, disowned)
        case JobRejected(job_id=job_id) as event:
            return ReleaseHold(_account(event), job_id, now)
        case _:
            raise AssertionError(f"{recorded.type} has no command on an account")


Paid = (
    JobRequested
    | JobResumed
    | JobCompleted
    | JobPartiallyCompleted
    | JobCancelled
    | JobExpired
    | JobFailed
    | JobResumeRejected
    | JobRejected
)


def _account(event: Paid) -> UUID:
    """The user whose credits a job's hold is of."""
    account = event.payer_id or event.user_id
    if account is None:
        raise ValueError(f"{type(event).__name__} of job {event.job_id} has no user_id")
    return account


def _later_hold(job_id: UUID, round_: int) -> UUID | None:
    """The hold of a resume; None for that of the request."""
    return hold_id(job_id, round_) if round_ else None
