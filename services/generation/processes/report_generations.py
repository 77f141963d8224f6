"""A generation that ended is told to its job, whose last one ends the job."""

from services.generation.domain.job import EndGeneration
from services.generation.handlers import Engine
from shared.contracts.generation import GenerationCompleted, GenerationFailed
from shared.eventstore import RecordedEvent
from shared.processes import Process

NAME = "report-generations-v1"


def end_of(event: GenerationCompleted | GenerationFailed) -> EndGeneration:
    if isinstance(event, GenerationCompleted):
        return EndGeneration(event.gid, cost=event.cost)
    return EndGeneration(event.gid, error=f"{event.error.code}: {event.error.message}")


def process(engine: Engine) -> Process:
    async def report(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, GenerationCompleted | GenerationFailed)
        context = recorded.context.caused(recorded.event_id, NAME)
        await engine.end_generation(event.job_id, end_of(event), context)

    return Process(NAME, (GenerationCompleted, GenerationFailed), report)
