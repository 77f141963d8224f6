"""Command → aggregate: load, decide, append; decided again when another command was faster."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import structlog

from services.generation.domain import collection_source, generation, job, workflow
from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.generation import Generation
from services.generation.domain.job import EndGeneration, EndGenerations, Job
from services.generation.job_specifications import WORKFLOW, Jobs, Workflows
from shared.contracts.generation import Output, StepError
from shared.contracts.problem import Problem
from shared.eventstore import Context, Decider, EventStore, Handled

SOURCE: Decider[CollectionSource] = Decider(
    name="collection_source",
    initial=CollectionSource(),
    evolve=collection_source.evolve,
    state_type=CollectionSource,
)
JOB: Decider[Job] = Decider(
    name="job", initial=Job(), evolve=job.evolve, state_type=Job, state_version=2, snapshot_every=500
)
GENERATION: Decider[Generation] = Decider(
    name="generation", initial=Generation(), evolve=generation.evolve, state_type=Generation
)
DECIDERS: tuple[Decider[Any], ...] = (WORKFLOW, SOURCE, JOB, GENERATION)

LARGE = 500
"""Generations of a request from which on it is decided beside the event loop."""

log = structlog.get_logger()


class NoSuchStep(Exception):  # noqa: N818 - names what was not found
    """A result for a step that is not there, or not the job's."""


class Engine:
    """The service's commands. `clock` and `new_id` are where time and chance come from."""

    def __init__(self, store: EventStore, clock: Callable[[], datetime], new_id: Callable[[], UUID]) -> None:
        self.store, self.clock, self.new_id = store, clock, new_id
        self.workflows = Workflows(store)
        self.jobs = Jobs(store, self.workflows)
        self._ends = _EndsByJob(self)

    async def register_workflow(
        self, name: str, definition: dict[str, Any], context: Context
    ) -> Handled[workflow.Workflow]:
        command = workflow.Register(name, definition)
        return await self.store.handle(
            WORKFLOW, workflow.workflow_id(name), lambda state: workflow.decide(command, state), context
        )

    async def adopt(
        self, command: collection_source.Adopt | collection_source.Revise, context: Context
    ) -> Handled[CollectionSource]:
        # A collection is adopted with its first event; when that comes again, its command has been recorded before.
        is_first = isinstance(command, collection_source.Adopt)
        return await self.store.handle(
            SOURCE,
            command.collection_id,
            lambda state: collection_source.decide(command, state),
            context,
            new=is_first,
        )

    async def command_job(self, job_id: UUID, command: job.Command, context: Context) -> Handled[Job]:
        large = isinstance(command, job.RequestJob) and len(command.generations) > LARGE
        return await self.store.handle(JOB, job_id, lambda state: job.decide(command, state), context, large=large)

    async def start_generation(self, command: generation.Start, context: Context) -> Handled[Generation]:
        return await self.store.handle(
            GENERATION, command.gid, lambda state: generation.decide(command, state), context, new=True
        )

    async def take_result(
        self, *, job_id: UUID, gid: UUID, sid: UUID, attempt: int, outputs: list[Output], error: StepError | None
    ) -> Handled[Generation]:
        """What a worker answered, or LOST. Raises NoSuchStep."""
        facts = await self.jobs.facts(job_id)
        if facts is None:
            raise NoSuchStep(f"there is no job {job_id}")
        command = generation.TakeResult(
            sid=sid,
            attempt=attempt,
            outputs=outputs,
            error=error,
            now=self.clock(),
            data=facts.requested.data,
            chosen=facts.requested.variables,
        )

        def decide(state: Generation) -> Sequence[Any]:
            if state.started is None or state.started.job_id != job_id:
                raise NoSuchStep(f"job {job_id} has no generation {gid}")
            return generation.decide(command, state)

        outcome = "lost" if error is generation.LOST else "result"
        context = Context(
            command_id=uuid5(sid, f"{outcome}:{attempt}"),
            actor="watchdog" if error is generation.LOST else "worker",
            correlation_id=facts.context.correlation_id or facts.context.command_id,
            traceparent=facts.context.traceparent,
        )
        return await self.store.handle(GENERATION, gid, decide, context)

    async def waits_for(self, gid: UUID, sid: UUID, attempt: int) -> bool:
        """Whether this attempt is still the one whose result is waited for."""
        return (await self.store.load(GENERATION, gid)).state.is_current(sid, attempt)

    async def may_wait_for(self, gid: UUID, sid: UUID, attempt: int) -> bool:
        """The same, without reading where this process has seen it wait: for what is decided on again."""
        known = self.store.cached(GENERATION, gid)
        if known is not None and known.state.is_current(sid, attempt):
            return True
        return await self.waits_for(gid, sid, attempt)

    async def end_generation(self, job_id: UUID, end: EndGeneration, context: Context) -> None:
        """Tells the job that one of its generations ended; returns when that is recorded."""
        await self._ends.tell(job_id, end, context)


class _EndsByJob:
    """Ends of one job that come at the same time are one decision: a large job is one stream, written one by one."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._waiting: defaultdict[UUID, list[tuple[EndGeneration, asyncio.Future[None]]]] = defaultdict(list)
        self._busy: set[UUID] = set()

    async def tell(self, job_id: UUID, end: EndGeneration, context: Context) -> None:
        told = asyncio.get_running_loop().create_future()
        self._waiting[job_id].append((end, told))
        if job_id not in self._busy:
            self._busy.add(job_id)
            try:
                while self._waiting[job_id]:
                    await self._decide(job_id, self._waiting.pop(job_id), context)
            finally:
                self._busy.discard(job_id)
                _settle(self._waiting.pop(job_id, []), RuntimeError("whoever was writing was stopped"))
        await told

    async def _decide(
        self, job_id: UUID, batch: list[tuple[EndGeneration, asyncio.Future[None]]], context: Context
    ) -> None:
        # What makes an end count once is the job's state. The id is new each time: a batch made up otherwise is
        # another command, and must not be taken for the one that went before.
        command = EndGenerations([end for end, _ in batch])
        fresh = Context(
            command_id=self._engine.new_id(),
            actor=context.actor,
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            traceparent=context.traceparent,
        )
        try:
            await self._engine.command_job(job_id, command, fresh)
        except BaseException as error:
            # Each of those who wait must hear of it, and tries again.
            _settle(batch, error if isinstance(error, Exception) else RuntimeError(f"writing was stopped: {error!r}"))
            if not isinstance(error, Exception):
                raise
        else:
            _settle(batch, None)


def _settle(batch: list[tuple[EndGeneration, asyncio.Future[None]]], error: Exception | None) -> None:
    for _, told in batch:
        if told.done():
            continue
        if error is None:
            told.set_result(None)
        else:
            told.set_exception(error)


async def import_workflows(engine: Engine, folders: Iterable[Path]) -> None:
    """Registers a folder per workflow; what is registered with the same content already stays as it is."""
    for folder in folders:
        definition = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
        context = Context(command_id=engine.new_id(), actor="import")
        try:
            handled = await engine.register_workflow(folder.name, definition, context)
        except Problem as problem:
            raise ValueError(f"{folder}: {problem.detail}: {problem.details}") from problem
        if handled.events:
            log.info("workflow_imported", workflow=folder.name, version=handled.version)
