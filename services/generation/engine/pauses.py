"""Which jobs and workflows operators have paused, as the dispatch of steps needs it."""

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

MAX_KNOWN = 10_000
"""Jobs and workflows whose pause is followed by events alone; beyond, the one learned first is read again."""

Pausable = UUID | str
"""A job's id, or a workflow's name."""


class Pauses:
    """Learns from the process's events, and reads the recorded state of what these have not named since it began.

    A state may be ahead of the events, which then repeat what led to it, in order; so the last one decides.
    """

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.forget()

    def forget(self) -> None:
        """For a new lease: events that another leader has handled do not come again."""
        self.paused: set[Pausable] = set()
        self._known: dict[Pausable, None] = {}
        self._readings: dict[Pausable, asyncio.Task[bool]] = {}

    def note(self, event: Event) -> None:
        match event:
            case JobRequested(job_id=job_id) if job_id not in self._known:
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
        return job_id in self._known and workflow in self._known

    async def learn(self, job_id: UUID, workflow: str) -> None:
        """Afterwards `paused` is right about both. Reads each once, in the first of concurrent calls."""
        for key in (job_id, workflow):
            if key not in self._known:
                await self._learn(key)

    async def _learn(self, key: Pausable) -> None:
        known, readings = self._known, self._readings
        if key not in readings:
            readings[key] = asyncio.create_task(self._read(key))
            readings[key].add_done_callback(lambda _: readings.pop(key, None))
        is_paused = await asyncio.shield(readings[key])
        if known is self._known and key not in known:  # else an event that came meanwhile is newer
            self._set(key, is_paused=is_paused)

    async def _read(self, key: Pausable) -> bool:
        if isinstance(key, UUID):
            return (await self._store.load(JOB, key)).state.is_paused
        return (await self._store.load(WORKFLOW, workflow_id(key))).state.is_paused

    def _set(self, key: Pausable, *, is_paused: bool) -> None:
        self._known[key] = None
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        if is_paused:
            self.paused.add(key)
        else:
            self.paused.discard(key)
