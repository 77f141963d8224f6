"""The generation aggregate: one artwork of a job, drawn from one hash, made by its steps.

Steps whose references have their outputs run at once; each attempt is answered by one result.
"""

from services.generation.domain.generation.cancel import Cancel
from services.generation.domain.generation.checkpoint import TakeCheckpoint
from services.generation.domain.generation.commands import Command, decide
from services.generation.domain.generation.result import LOST, TakeResult
from services.generation.domain.generation.start import Start
from services.generation.domain.generation.state import CheckpointState, Generation, evolve
from services.generation.domain.generation.steps import ready_at, retry_delay

__all__ = [
    "LOST",
    "Cancel",
    "CheckpointState",
    "Command",
    "Generation",
    "Start",
    "TakeCheckpoint",
    "TakeResult",
    "decide",
    "evolve",
    "ready_at",
    "retry_delay",
]
