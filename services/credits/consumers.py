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


def command_of(recorded: RecordedEvent, now: datetime) -> Command:  # noqa: PLR0911 - a case for each event
    """The command for a job event, on the hold of the round that it is about. Raises ValueError without a user."""
    match recorded.event:
        case JobRequested(job_id=job_id, user_id=user_id, quoted=quoted):
            return PlaceHold(user_id, job_id, quoted, now)
        case JobResumed(job_id=job_id, user_id=user_id, round=round_, quoted=quoted):
            return PlaceHold(user_id, job_id, quoted, now, _later_hold(job_id, round_))
        case JobCompleted() | JobPartiallyCompleted() | JobCancelled() | JobExpired() as event:
            return CaptureHold(event.user_id, event.job_id, event.captured, now, _later_hold(event.job_id, event.round))
        case JobFailed(job_id=job_id, user_id=user_id, round=round_):
            return ReleaseHold(user_id, job_id, now, _later_hold(job_id, round_))
        case JobResumeRejected(job_id=job_id, user_id=user_id, round=round_):
            return ReleaseHold(user_id, job_id, now, _later_hold(job_id, round_))
        case JobDisowned(job_id=job_id, user_id=user_id, hold_id=disowned):
            return ReleaseOpenHold(user_id, job_id, now, disowned)
        case JobRejected(job_id=job_id, user_id=user_id):
            if user_id is None:
                raise ValueError(f"JobRejected of job {job_id} has no user_id")
            return ReleaseHold(user_id, job_id, now)
        case _:
            raise AssertionError(f"{recorded.type} has no command on an account")


def _later_hold(job_id: UUID, round_: int) -> UUID | None:
    """The hold of a resume; None for that of the request."""
    return hold_id(job_id, round_) if round_ else None
