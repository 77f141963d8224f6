"""Settles visitors' allowances when their jobs end."""

from services.generation.deciders import JOB
from services.generation.handlers.commands import CommandHandlers
from services.generation.processes.settle_previews import EVENTS, NAME, settlement
from shared.eventstore import RecordedEvent
from shared.processes import Process


def settle_process(handlers: CommandHandlers) -> Process:
    async def settle(recorded: RecordedEvent) -> None:
        specification = await handlers.job_specifications.get(recorded.stream_id)
        if specification is None or not specification.requested.is_preview:
            return
        job = (await handlers.store.load(JOB, recorded.stream_id)).state
        if (command := settlement(job)) is not None:
            await handlers.settle_preview(command, recorded.context.caused(recorded.event_id, NAME))

    return Process(NAME, EVENTS, settle)
