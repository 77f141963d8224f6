"""Turns job events of the generation service into commands on the users' accounts."""

from datetime import datetime, timedelta
from uuid import UUID

from services.credits.domain.deadlines import ExtendHold
from services.credits.domain.decisions import CaptureHold, Command, PlaceHold, ReleaseHold, ReleaseOpenHold
from services.credits.handlers import CommandHandlers
from shared.contracts.consumers import CREDITS_CONFIRMED_HOLDS, CREDITS_JOBS
from shared.contracts.generation import (
    JobCancelled,
    JobCompleted,
    JobDisowned,
    JobExpired,
    JobFailed,
    JobHoldConfirmed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    JobResumed,
    JobResumeRejected,
    hold_id,
)
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer


def consumers(handlers: CommandHandlers, hold_time: timedelta) -> list[Consumer]:
    """`hold_time`: from when a hold is placed, or its job was confirmed, to its deadline."""

    async def on_job(recorded: RecordedEvent) -> None:
        now = handlers.clock()
        command = command_of(recorded, now, now + hold_time)
        await handlers.handle(command, recorded.context.caused(recorded.event_id, CREDITS_JOBS.name))

    async def on_confirmed_hold(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, JobHoldConfirmed)
        command = ExtendHold(event.user_id, event.job_id, handlers.clock() + hold_time, event.hold_id)
        await handlers.handle(command, recorded.context.caused(recorded.event_id, CREDITS_CONFIRMED_HOLDS.name))

    return [Consumer.of(CREDITS_JOBS, on_job), Consumer.of(CREDITS_CONFIRMED_HOLDS, on_confirmed_hold)]


def command_of(recorded: RecordedEvent, now: datetime, deadline: datetime | None = None) -> Command:
    """The command for a job event, on the payer's hold of the round that it is about; `deadline` for a new hold.

    Raises ValueError without a user.
    """
    match recorded.event:
        case JobRequested(job_id=job_id, quoted=quoted) as event:
            return PlaceHold(_account(event), job_id, quoted, now, deadline=deadline)
        case JobResumed(job_id=job_id, round=round_, quoted=quoted) as event:
            return PlaceHold(_account(event), job_id, quoted, now, _later_hold(job_id, round_), deadline)
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
