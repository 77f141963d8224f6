"""Reports generations that ended to their jobs; the last one ends the job."""

from services.generation.handlers.commands import CommandHandlers
from services.generation.processes.report_generations import EVENTS, NAME, end_of
from shared.contracts.generation import GenerationCompleted, GenerationFailed
from shared.eventstore import RecordedEvent
from shared.processes import Process


def report_process(handlers: CommandHandlers) -> Process:
    async def report(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, GenerationCompleted | GenerationFailed)
        context = recorded.context.caused(recorded.event_id, NAME)
        await handlers.end_generation(event.job_id, end_of(event), context)

    return Process(NAME, EVENTS, report)
