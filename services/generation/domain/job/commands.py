"""All commands of a job, and which function decides each."""

from collections.abc import Sequence
from typing import assert_never

from services.generation.domain.job.completion import Abandon, EndGenerations, abandon, end
from services.generation.domain.job.hold import Authorize, Reject, authorize, reject
from services.generation.domain.job.request import RequestJob, request
from services.generation.domain.job.state import Job
from shared.contracts.event import Event

Command = RequestJob | Authorize | Reject | EndGenerations | Abandon


def decide(command: Command, state: Job) -> Sequence[Event]:
    """No events if the command has been carried out already. Raises CONFLICT: see `request`."""
    match command:
        case RequestJob():
            return request(command, state)
        case Authorize():
            return authorize(command, state)
        case Reject():
            return reject(command, state)
        case EndGenerations():
            return end(command.ends, state)
        case Abandon():
            return abandon(command, state)
    assert_never(command)
