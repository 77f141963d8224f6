"""`generation_completed`, `generation_failed` → the end of that generation in its job's stream."""

from services.generation.domain.job import EndGeneration
from shared.contracts.generation import GenerationCompleted, GenerationFailed, StepError

NAME = "report-generations-v1"
EVENTS = (GenerationCompleted, GenerationFailed)


def end_of(event: GenerationCompleted | GenerationFailed) -> EndGeneration:
    if isinstance(event, GenerationCompleted):
        return EndGeneration(event.gid, cost=event.cost, round=event.round)
    return EndGeneration(event.gid, error=error_text(event.error), round=event.round)


def error_text(error: StepError) -> str:
    """An error as the job's user sees it."""
    return f"{error.code}: {error.message}"
