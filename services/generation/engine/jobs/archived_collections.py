"""Stops the jobs of archived collections, as a cancellation does: what has completed is kept, the rest is released."""

from typing import LiteralString
from uuid import UUID

from services.generation.deciders import SOURCE
from services.generation.domain.job import Stop
from services.generation.domain.job.request import collection_of
from services.generation.handlers.commands import CommandHandlers
from services.generation.processes.stop_archived import EVENTS, NAME, REASON
from shared.contracts.generation import CollectionAdopted, JobRequested, JobResumed
from shared.eventstore import RecordedEvent
from shared.http.positions import WAIT_SECONDS, History
from shared.processes import Process

SELECT_OPEN_JOBS_OF_COLLECTION: LiteralString = """
select job_id from jobs_v5 where collection_id = %s and status in ('pending', 'processing')"""


class ArchivedCollections:
    """`history`: to wait for the table of jobs."""

    def __init__(self, handlers: CommandHandlers, history: History) -> None:
        self._handlers, self._history = handlers, history

    def process(self) -> Process:
        return Process(NAME, EVENTS, self.react)

    async def react(self, recorded: RecordedEvent) -> None:
        collection_id = await self._collection_of(recorded)
        if collection_id is None or not await self._is_archived(collection_id):
            return
        for job_id in await self._jobs(recorded, collection_id):
            context = recorded.context.caused(recorded.event_id, f"{NAME}:{job_id}")
            await self._handlers.command_job(job_id, Stop("expired", REASON), context)

    async def _collection_of(self, recorded: RecordedEvent) -> UUID | None:
        """The collection that the event may concern; None if it was not archived by this event."""
        match recorded.event:
            case CollectionAdopted(collection_id=collection_id, is_archived=is_archived):
                return collection_id if is_archived else None
            case JobRequested() as requested:
                return collection_of(requested)
            case JobResumed(job_id=job_id):
                specification = await self._handlers.job_specifications.get(job_id)
                assert specification is not None, "a resumed job was requested"
                return collection_of(specification.requested)
            case event:
                raise AssertionError(f"{event!r} is not one of this process's events")

    async def _is_archived(self, collection_id: UUID) -> bool:
        return (await self._handlers.store.load(SOURCE, collection_id)).state.is_archived

    async def _jobs(self, recorded: RecordedEvent, collection_id: UUID) -> list[UUID]:
        """The jobs to stop. Raises TimeoutError, which is retried, while the table of jobs is behind the event."""
        if not isinstance(recorded.event, CollectionAdopted):
            return [recorded.stream_id]
        if not await self._history.wait_until_shown(self._history.position(recorded.position), WAIT_SECONDS):
            raise TimeoutError(f"the table of jobs does not show position {recorded.position} yet")
        rows = await self._handlers.store.pool.rows(SELECT_OPEN_JOBS_OF_COLLECTION, (collection_id,))
        return [job_id for (job_id,) in rows]
