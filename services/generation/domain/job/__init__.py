"""The job aggregate: one request for N generations, from its quote to what is captured of it."""

from services.generation.domain.job.commands import Command, decide
from services.generation.domain.job.completion import Abandon, EndGeneration, EndGenerations
from services.generation.domain.job.hold import Authorize, ConfirmHold, Reject
from services.generation.domain.job.pause import Pause, Unpause
from services.generation.domain.job.request import RequestJob
from services.generation.domain.job.resume import Resume
from services.generation.domain.job.state import Job, evolve
from services.generation.domain.job.stop import FinishStop, Stop

__all__ = [
    "Abandon",
    "Authorize",
    "Command",
    "ConfirmHold",
    "EndGeneration",
    "EndGenerations",
    "FinishStop",
    "Job",
    "Pause",
    "Reject",
    "RequestJob",
    "Resume",
    "Stop",
    "Unpause",
    "decide",
    "evolve",
]
