"""Which jobs and workflows are paused, for the dispatch of steps."""

import asyncio
from uuid import UUID

from services.generation.deciders import JOB, WORKFLOW
from services.generation.domain.workflow import workflow_id
from shared.contracts.event import Event
from shared.contracts.generation import (
    JobPaused,
    JobRequested,
    JobResumed,
    JobUnpaused,
    WorkflowPaused,
    WorkflowUnpaused,
)
from shared.eventstore import EventStore

MAX_FOLLOWED = 10_000
"""Jobs and workflows whose state is not read again; beyond it, the one that was read first is dropped."""

Pausable = UUID | str
"""A job's id, or a workflow's name."""


class Pauses:
    """Follows the process's events, and reads the state of each job and workflow when it is first asked about.

    A state may be ahead of the events. The events that led to it then come later, in order, and the last one counts.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.forget()

    def forget(self) -> None:
        """For a new lease: events that another leader has handled do not come again."""
        self.paused: set[Pausable] = set()
        self._followed: dict[Pausable, None] = {}
        self._readings: dict[Pausable, asyncio.Task[bool]] = {}

    def note(self, event: Event) -> None:
        match event:
            case JobRequested(job_id=job_id) if job_id not in self._followed:
                self._set(job_id, is_paused=False)
            case JobPaused(job_id=job_id):
                self._set(job_id, is_paused=True)
            case JobUnpaused(job_id=job_id) | JobResumed(job_id=job_id):
                self._set(job_id, is_paused=False)
            case WorkflowPaused(name=name):
                self._set(name, is_paused=True)
            case WorkflowUnpaused(name=name):
                self._set(name, is_paused=False)

    def knows(self, job_id: UUID, workflow: str) -> bool:
        """Whether `learn` would read nothing."""
        return job_id in self._followed and workflow in self._followed

    async def learn(self, job_id: UUID, workflow: str) -> None:
        """Makes `paused` correct for both. Reads the state of each once, also for concurrent calls."""
        for key in (job_id, workflow):
            if key not in self._followed:
                await self._learn(key)

    async def _learn(self, key: Pausable) -> None:
        followed, readings = self._followed, self._readings
        if key not in readings:
            readings[key] = asyncio.create_task(self._read(key))
            readings[key].add_done_callback(lambda _: readings.pop(key, None))
        is_paused = await asyncio.shield(readings[key])
        if followed is self._followed and key not in followed:  # else an event that came meanwhile is newer
            self._set(key, is_paused=is_paused)

    async def _read(self, key: Pausable) -> bool:
        if isinstance(key, UUID):
            return (await self._store.load(JOB, key)).state.is_paused
        return (await self._store.load(WORKFLOW, workflow_id(key))).state.is_paused

    def _set(self, key: Pausable, *, is_paused: bool) -> None:
        self._followed[key] = None
        if len(self._followed) > MAX_FOLLOWED:
            del self._followed[next(iter(self._followed))]
        if is_paused:
            self.paused.add(key)
        else:
            self.paused.discard(key)
