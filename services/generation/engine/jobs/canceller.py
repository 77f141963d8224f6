"""Cancels the open generations of jobs that are stopped, and then ends these jobs."""

import asyncio
from uuid import UUID

from services.generation.deciders import GENERATION, JOB
from services.generation.domain.generation import Generation
from services.generation.domain.job import EndGeneration, FinishStop
from services.generation.handlers.commands import CommandHandlers
from services.generation.processes.cancel_generations import NAME, end_of
from services.generation.queries.job_specification import JobSpecification
from shared.contracts.generation import JobStopRequested
from shared.eventstore import Loaded, RecordedEvent
from shared.processes import Process

BATCH = 200
"""Generations that are cancelled at a time: concurrent ones share an append."""


def cancel_process(handlers: CommandHandlers) -> Process:
    async def cancel(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, JobStopRequested)
        job = (await handlers.store.load(JOB, event.job_id)).state
        if not job.stopping:
            return
        specification = await handlers.job_specifications.get(event.job_id)
        assert specification is not None, "a job that is stopped was requested"
        ends: list[EndGeneration] = []

        async def cancel_one(
            gid: UUID, place: int, specification: JobSpecification, basis: Loaded[Generation] | None
        ) -> EndGeneration:
            return end_of(gid, await handlers.cancel_generation(gid, place, job.round, specification, basis))

        places = list(job.places.items())
        for start in range(0, len(places), BATCH):
            batch = places[start : start + BATCH]
            # Of a first round, the streams that are not in memory don't exist.
            states = await handlers.store.load_many(GENERATION, [gid for gid, _ in batch]) if job.round else {}
            ends += await asyncio.gather(
                *(cancel_one(gid, place, specification, states.get(gid)) for gid, place in batch)
            )
        await handlers.command_job(
            event.job_id, FinishStop(job.round, ends), recorded.context.caused(recorded.event_id, NAME)
        )

    return Process(NAME, (JobStopRequested,), cancel)
