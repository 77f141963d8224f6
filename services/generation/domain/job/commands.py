"""All commands of a job, and which function decides each."""

from collections.abc import Sequence
from typing import assert_never

from services.generation.domain.job.completion import Abandon, EndGenerations, abandon, end
from services.generation.domain.job.hold import Authorize, ConfirmHold, Reject, authorize, confirm, reject
from services.generation.domain.job.pause import Pause, Unpause, pause
from services.generation.domain.job.request import RequestJob, request
from services.generation.domain.job.resume import Resume, resume
from services.generation.domain.job.state import Job
from services.generation.domain.job.stop import FinishStop, Stop, finish_stop, stop
from shared.contracts.event import Event

Command = (
    RequestJob
    | Authorize
    | ConfirmHold
    | Reject
    | EndGenerations
    | Abandon
    | Stop
    | FinishStop
    | Resume
    | Pause
    | Unpause
)


def decide(command: Command, state: Job) -> Sequence[Event]:  # noqa: C901, PLR0911 - a case for each command
    """No events if the command has been carried out already. Raises Problem: see the functions."""
    match command:
        case RequestJob():
            return request(command, state)
        case Authorize():
            return authorize(command, state)
        case ConfirmHold():
            return confirm(command, state)
        case Reject():
            return reject(command, state)
        case EndGenerations():
            return end(command.ends, state)
        case Abandon():
            return abandon(command, state)
        case Stop():
            return stop(command, state)
        case FinishStop():
            return finish_stop(command, state)
        case Resume():
            return resume(command, state)
        case Pause() | Unpause():
            return pause(command, state)
    assert_never(command)
