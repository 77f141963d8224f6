"""The job aggregate: one request for N generations, from its quote to what is captured of it."""

from services.generation.domain.job.state import (
    Abandon,
    Authorize,
    Command,
    EndGeneration,
    EndGenerations,
    Job,
    Reject,
    RequestJob,
    decide,
    evolve,
)

__all__ = [
    "Abandon",
    "Authorize",
    "Command",
    "EndGeneration",
    "EndGenerations",
    "Job",
    "Reject",
    "RequestJob",
    "decide",
    "evolve",
]
