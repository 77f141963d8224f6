"""`generation_completed`, `generation_failed` → the end of that generation in its job's stream."""

from services.generation.domain.job import EndGeneration
from shared.contracts.generation import GenerationCompleted, GenerationFailed

NAME = "report-generations-v1"
EVENTS = (GenerationCompleted, GenerationFailed)


def end_of(event: GenerationCompleted | GenerationFailed) -> EndGeneration:
    if isinstance(event, GenerationCompleted):
        return EndGeneration(event.gid, cost=event.cost, round=event.round)
    return EndGeneration(event.gid, error=event.error.text, round=event.round)
