"""Turns job events of the generation service into commands on the users' accounts."""

from datetime import datetime

from services.credits.domain.decisions import CaptureHold, Command, PlaceHold, ReleaseHold, ReleaseOpenHold
from services.credits.handlers import CommandHandlers
from shared.contracts.consumers import CREDITS_JOBS
from shared.contracts.generation import (
    JobCompleted,
    JobDisowned,
    JobFailed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
)
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer


def consumers(handlers: CommandHandlers) -> list[Consumer]:
    async def on_job(recorded: RecordedEvent) -> None:
        command = command_of(recorded, handlers.clock())
        await handlers.handle(command, recorded.context.caused(recorded.event_id, CREDITS_JOBS.name))

    return [Consumer.of(CREDITS_JOBS, on_job)]


def command_of(recorded: RecordedEvent, now: datetime) -> Command:
    """The command for a job event. Raises ValueError for a JobRejected without a user."""
    match recorded.event:
        case JobRequested(job_id=job_id, user_id=user_id, quoted=quoted):
            return PlaceHold(user_id, job_id, quoted, now)
        case JobCompleted(job_id, user_id, captured) | JobPartiallyCompleted(job_id, user_id, captured):
            return CaptureHold(user_id, job_id, captured, now)
        case JobFailed(job_id=job_id, user_id=user_id):
            return ReleaseHold(user_id, job_id, now)
        case JobDisowned(job_id=job_id, user_id=user_id):
            return ReleaseOpenHold(user_id, job_id, now)
        case JobRejected(job_id=job_id, user_id=user_id):
            if user_id is None:
                raise ValueError(f"JobRejected of job {job_id} has no user_id")
            return ReleaseHold(user_id, job_id, now)
        case _:
            raise AssertionError(f"{recorded.type} has no command on an account")
