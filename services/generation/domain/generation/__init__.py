"""The generation aggregate: one artwork of a job, drawn from one hash, made by its steps."""

from services.generation.domain.generation.state import (
    LOST,
    Command,
    Generation,
    Start,
    TakeResult,
    backoff,
    decide,
    evolve,
    ready_at,
)

__all__ = [
    "LOST",
    "Command",
    "Generation",
    "Start",
    "TakeResult",
    "backoff",
    "decide",
    "evolve",
    "ready_at",
]
