"""What never changes about a job, read once: its request, its collection's data, the workflows that it keeps."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.generation.domain.workflow import Definition, read_definition, workflow_id
from services.generation.domain.workflow import Workflow as WorkflowState
from services.generation.domain.workflow import evolve as evolve_workflow
from shared.contracts.event import Event
from shared.contracts.generation import JobGenerationsListed, JobRequested, RequestedGeneration
from shared.contracts.generation_input import GenerationInput, read
from shared.contracts.sizes import KIB
from shared.eventstore import Context, Decider, EventStore

WORKFLOW: Decider[WorkflowState] = Decider(
    name="workflow", initial=WorkflowState(), evolve=evolve_workflow, state_type=WorkflowState
)
REMEMBERED_JOBS = 128
REMEMBERED_BYTES = 64 * 1024 * KIB
"""Of the events that they were read from; in memory they take a few times as much."""


@dataclass(frozen=True)
class JobFacts:
    """A job's request, and all of its generations; `given` is its data read, `definitions` the workflows' versions."""

    requested: JobRequested
    generations: Sequence[RequestedGeneration]
    context: Context
    given: GenerationInput
    definitions: Mapping[str, Definition]
    size: int
    """Bytes of what it was read from."""


class Workflows:
    """Definitions by name and version; a version never changes, so it is read once."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._known: dict[tuple[str, int], Definition] = {}

    async def newest(self, name: str) -> Definition | None:
        """None for a workflow that is not registered."""
        loaded = await self._store.load(WORKFLOW, workflow_id(name))
        return self._definition(loaded.state) if loaded.version else None

    async def version(self, name: str, version: int) -> Definition:
        known = self._known.get((name, version))
        if known is None:
            # A workflow's stream has one event per version.
            loaded = await self._store.load(WORKFLOW, workflow_id(name), as_of=version)
            known = self._definition(loaded.state)
        return known

    def _definition(self, state: WorkflowState) -> Definition:
        key = (state.name, state.version)
        if key not in self._known:
            self._known[key] = read_definition(state.name, state.version, state.definition)
        return self._known[key]


class Jobs:
    """The facts of the jobs last used."""

    def __init__(self, store: EventStore, workflows: Workflows) -> None:
        self._store, self._workflows = store, workflows
        self._facts: OrderedDict[UUID, asyncio.Task[JobFacts | None]] = OrderedDict()

    async def facts(self, job_id: UUID) -> JobFacts | None:
        """None when there is no such job. Who asks at the same time waits for the same reading."""
        task = self._facts.get(job_id)
        if task is None or (task.done() and (task.cancelled() or task.exception() or task.result() is None)):
            task = self._facts[job_id] = asyncio.create_task(self._read(job_id))
            task.add_done_callback(self._forget)
        self._facts.move_to_end(job_id)
        return task.result() if task.done() else await asyncio.shield(task)

    def _forget(self, _read: "asyncio.Task[JobFacts | None]") -> None:
        """The jobs that were longest not asked for, when another one was read; but for the last one."""
        sizes = {job_id: _size_of(task) for job_id, task in self._facts.items()}
        size = sum(sizes.values())
        while len(self._facts) > 1 and (len(self._facts) > REMEMBERED_JOBS or size > REMEMBERED_BYTES):
            job_id, _ = self._facts.popitem(last=False)
            size -= sizes[job_id]

    async def _read(self, job_id: UUID) -> JobFacts | None:
        events = await self._store.read_stream(job_id, limit=1)
        if not events or not isinstance(events[0].event, JobRequested):
            return None
        requested = events[0].event
        parts = await self._store.read_stream(job_id, after=1, limit=requested.parts) if requested.parts else []
        return JobFacts(
            requested=requested,
            size=sum(len(each.data) for each in (*events, *parts)),
            generations=list(_generations(requested, [part.event for part in parts])),
            context=events[0].context,
            given=await asyncio.to_thread(read, requested.data),
            definitions={
                name: await self._workflows.version(name, version)
                for name, version in requested.workflow_versions.items()
            },
        )


def _size_of(task: "asyncio.Task[JobFacts | None]") -> int:
    if not task.done() or task.cancelled() or task.exception() is not None:
        return 0
    facts = task.result()
    return facts.size if facts is not None else 0


def _generations(requested: JobRequested, parts: Sequence[Event]) -> Iterator[RequestedGeneration]:
    yield from requested.generations
    for part in parts:
        assert isinstance(part, JobGenerationsListed), "the parts of a request are recorded with it"
        yield from part.generations
