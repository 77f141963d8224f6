"""What never changes about a job: its request, the collection's data, and the versions of its workflows. Cached."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from uuid import UUID

from services.generation.computing import compute, is_small
from services.generation.domain.planning.steps import BUCKET
from services.generation.domain.workflow import Definition
from services.generation.queries.workflow_definition import WorkflowDefinitions
from shared.contracts.event import Event
from shared.contracts.generation import JobGenerationsListed, JobRequested, RequestedGeneration
from shared.contracts.generation_input import GenerationInput, read
from shared.contracts.sizes import KIB, encoded_size
from shared.eventstore import Context, EventStore

MAX_CACHED_JOBS = 128
MAX_CACHED_BYTES = 64 * 1024 * KIB
"""Of the events that the cached specifications were read from; in memory they take a few times as much."""


@dataclass(frozen=True)
class JobSpecification:
    """`generations`: all of them, in order; `context`: the request's; `size`: bytes of the events it was read from.

    `is_small`: whether a generation of it is planned at once, and not in a thread.
    `bucket`: where the set's files are stored, for workflows that ask for it.
    """

    requested: JobRequested
    generations: Sequence[RequestedGeneration]
    context: Context
    generation_input: GenerationInput
    definitions: Mapping[str, Definition]
    size: int
    is_small: bool
    bucket: str = BUCKET

    def context_of(self, command_id: UUID, actor: str) -> Context:
        """The context of a command that follows from the request: with its correlation and trace."""
        return Context(
            command_id=command_id,
            actor=actor,
            correlation_id=self.context.correlation_id or self.context.command_id,
            traceparent=self.context.traceparent,
        )


class JobSpecifications:
    """The specifications of the jobs that were used last."""

    def __init__(self, store: EventStore, workflow_definitions: WorkflowDefinitions, bucket: str = BUCKET) -> None:
        self._store, self._workflow_definitions, self._bucket = store, workflow_definitions, bucket
        self._readings: OrderedDict[UUID, asyncio.Future[JobSpecification | None]] = OrderedDict()

    async def get(self, job_id: UUID) -> JobSpecification | None:
        """None if there is no such job. Concurrent calls for one job share one reading."""
        reading = self._readings.get(job_id)
        if reading is None or (
            reading.done() and (reading.cancelled() or reading.exception() or reading.result() is None)
        ):
            reading = self._readings[job_id] = asyncio.create_task(self._read(job_id))
            reading.add_done_callback(self._evict)
        self._readings.move_to_end(job_id)
        return reading.result() if reading.done() else await asyncio.shield(reading)

    def remember(
        self,
        events: Sequence[Event],
        context: Context,
        generation_input: GenerationInput,
        definitions: Mapping[str, Definition],
    ) -> None:
        """Keeps the specification of a job that this process has just recorded, so that it need not be read.

        Only of a job whose request is one event: the size of others is not known here. `context`: the request's.
        """
        if len(events) != 1 or not isinstance(requested := events[0], JobRequested):
            return
        reading = self._readings[requested.job_id] = asyncio.get_running_loop().create_future()
        reading.set_result(
            JobSpecification(
                requested=requested,
                generations=requested.generations,
                context=context,
                generation_input=generation_input,
                definitions=definitions,
                size=encoded_size(requested),
                is_small=is_small(requested.data),
                bucket=self._bucket,
            )
        )
        self._evict(reading)

    def _evict(self, _read: "asyncio.Future[JobSpecification | None]") -> None:
        """Drops the least recently used ones beyond the bounds, but never the last one."""
        sizes = {job_id: _size_of(reading) for job_id, reading in self._readings.items()}
        size = sum(sizes.values())
        while len(self._readings) > 1 and (len(self._readings) > MAX_CACHED_JOBS or size > MAX_CACHED_BYTES):
            job_id, _ = self._readings.popitem(last=False)
            size -= sizes[job_id]

    async def _read(self, job_id: UUID) -> JobSpecification | None:
        events = await self._store.read_stream(job_id, limit=1)
        if not events or not isinstance(events[0].event, JobRequested):
            return None
        requested = events[0].event
        is_short = is_small(requested.data)
        parts = await self._store.read_stream(job_id, after=1, limit=requested.parts) if requested.parts else []
        return JobSpecification(
            requested=requested,
            bucket=self._bucket,
            size=sum(len(recorded.data) for recorded in (*events, *parts)),
            generations=list(_generations(requested, [part.event for part in parts])),
            context=events[0].context,
            generation_input=await compute(partial(read, requested.data), at_once=is_short),
            is_small=is_short,
            definitions={
                name: await self._workflow_definitions.version(name, version)
                for name, version in requested.workflow_versions.items()
            },
        )


def _size_of(reading: "asyncio.Future[JobSpecification | None]") -> int:
    if not reading.done() or reading.cancelled() or reading.exception() is not None:
        return 0
    specification = reading.result()
    return specification.size if specification is not None else 0


def _generations(requested: JobRequested, parts: Sequence[Event]) -> Iterator[RequestedGeneration]:
    yield from requested.generations
    for part in parts:
        assert isinstance(part, JobGenerationsListed), "the parts of a request are recorded with it"
        yield from part.generations
