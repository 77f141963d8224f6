"""Command → aggregate: load, decide, append. The store decides again after a version conflict."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

from services.generation.cost_function import cost_functions
from services.generation.deciders import ALLOWANCE, GENERATION, JOB, MODEL, SOURCE, WORKFLOW
from services.generation.domain import collection_source, generation, job, model, preview_allowance, workflow
from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.generation import CheckpointState, Generation
from services.generation.domain.generation.resume import costs_are_recorded
from services.generation.domain.job import EndGeneration, EndGenerations, Job
from services.generation.domain.planning.steps import BUCKET
from services.generation.domain.preview_allowance import PreviewLimit
from services.generation.handlers.job_ends import JobEnds
from services.generation.processes.start_generations import planned_costs
from services.generation.queries.job_specification import JobSpecification, JobSpecifications
from services.generation.queries.workflow_definition import WorkflowDefinitions
from shared.contracts.event import Event
from shared.contracts.generation import Output, StepError, allowance_id
from shared.contracts.problem import Problem
from shared.contracts.work import Checkpoint
from shared.eventstore import Context, EventStore, Handled, Loaded, StreamAppend, VersionConflict

LARGE = 500
"""Generations of a request from which on it is decided in a thread, and not in the event loop."""
MAX_ATTEMPTS = 20
"""Of a command on two streams, after version conflicts; each decides on newly loaded states."""


class NoSuchStep(Exception):  # noqa: N818 - names what was not found
    """A result for a job, generation or step that does not exist."""


class CommandHandlers:
    """Carries out the service's commands. `clock` and `new_id` are its only sources of times and random ids."""

    def __init__(
        self, store: EventStore, clock: Callable[[], datetime], new_id: Callable[[], UUID], bucket: str = BUCKET
    ) -> None:
        self.store, self.clock, self.new_id = store, clock, new_id
        self.workflow_definitions = WorkflowDefinitions(store)
        self.job_specifications = JobSpecifications(store, self.workflow_definitions, bucket)
        self._job_ends = JobEnds(self._end_generations)
        # Requests of one visitor wait for each other in this process; across replicas, versions detect conflicts.
        self._allowances = WeakValueDictionary[UUID, asyncio.Lock]()

    async def register_workflow(
        self, name: str, definition: dict[str, Any], context: Context
    ) -> Handled[workflow.Workflow]:
        """A new version, if the definition differs from the newest one. Raises VALIDATION_FAILED with all faults."""
        return await self._command_workflow(workflow.Register(name, definition), context)

    async def check_workflow(self, name: str, definition: dict[str, Any]) -> tuple[workflow.Workflow, bool]:
        """The workflow as it is, and whether registering the definition would change it. Raises VALIDATION_FAILED."""
        state = (await self.store.load(WORKFLOW, workflow.workflow_id(name))).state
        return state, bool(workflow.decide(workflow.Register(name, definition), state, cost_functions))

    async def workflow_name(self, id_or_name: str) -> str:
        """Of a registered workflow. Raises WORKFLOW_NOT_FOUND."""
        try:
            stream = UUID(id_or_name)
        except ValueError:
            stream = workflow.workflow_id(id_or_name)
        state = (await self.store.load(WORKFLOW, stream)).state
        if not state.version:
            raise workflow.workflow_not_found(id_or_name)
        return state.name

    async def deprecate_workflow(self, name: str, reason: str, context: Context) -> Handled[workflow.Workflow]:
        """Raises WORKFLOW_NOT_FOUND."""
        return await self._command_workflow(workflow.Deprecate(name, reason), context)

    async def pause_workflow(
        self, command: workflow.Pause | workflow.Unpause, context: Context
    ) -> Handled[workflow.Workflow]:
        """Idempotent. Raises WORKFLOW_NOT_FOUND."""
        return await self._command_workflow(command, context)

    async def _command_workflow(self, command: workflow.Command, context: Context) -> Handled[workflow.Workflow]:
        return await self.store.handle(
            WORKFLOW,
            workflow.workflow_id(command.name),
            lambda state: workflow.decide(command, state, cost_functions),
            context,
        )

    async def describe_model(self, command: model.Describe, context: Context) -> Handled[model.ModelFile]:
        return await self.store.handle(
            MODEL, model.model_id(command.kind, command.name), lambda state: model.decide(command, state), context
        )

    async def adopt_collection(
        self, command: collection_source.Adopt | collection_source.Revise, context: Context
    ) -> Handled[CollectionSource]:
        # Adoption is the first event of its stream; if it is redelivered, the store recognizes the command's id.
        is_first = isinstance(command, collection_source.Adopt)
        return await self.store.handle(
            SOURCE,
            command.collection_id,
            lambda state: collection_source.decide(command, state),
            context,
            new=is_first,
        )

    async def command_job(self, job_id: UUID, command: job.Command, context: Context) -> Handled[Job]:
        # A request is the first event of its stream, so nothing is read; if it is repeated, the store recognizes it.
        is_first = isinstance(command, job.RequestJob)
        is_large = isinstance(command, job.RequestJob) and len(command.generations) > LARGE
        return await self.store.handle(
            JOB, job_id, lambda state: job.decide(command, state), context, new=is_first, large=is_large
        )

    async def command_preview(
        self, job_id: UUID, command: job.RequestJob | job.Resume, limit: PreviewLimit, context: Context
    ) -> Sequence[Event]:
        """Records a visitor's command, and what it takes of the visitor's allowance, in one append.

        Returns the job's events; none if they had been recorded before. Raises what the job decides,
        PREVIEW_LIMIT_REACHED, and CONFLICT under contention.
        """
        async with self._allowances.setdefault(limit.stream_id, asyncio.Lock()):
            for _ in range(MAX_ATTEMPTS):
                generation = self.store.epochs.generation
                current = await self.store.load(JOB, job_id)
                events = job.decide(command, current.state)
                if not events:
                    return ()
                reserve = preview_allowance.reservation(events[0], current.state.completed, limit)
                allowance = await self.store.load(ALLOWANCE, limit.stream_id)
                reserved = preview_allowance.decide(reserve, allowance.state)
                appends = [
                    StreamAppend(job_id, current.version, events),
                    StreamAppend(limit.stream_id, allowance.version, reserved),
                ]
                with contextlib.suppress(VersionConflict):
                    appended = await self.store.append(appends, context, generation=generation)
                    return () if appended.replayed else events
        raise Problem("CONFLICT", "Concurrent requests prevented this one: try again")

    async def settle_preview(self, command: preview_allowance.Settle, context: Context) -> None:
        """Idempotent."""
        stream = allowance_id(command.collection_id, command.visitor_id)
        await self.store.handle(ALLOWANCE, stream, lambda state: preview_allowance.decide(command, state), context)

    async def start_generation(self, command: generation.Start, context: Context) -> Handled[Generation]:
        return await self.store.handle(
            GENERATION, command.gid, lambda state: generation.decide(command, state), context, new=not command.round
        )

    async def cancel_generation(
        self,
        gid: UUID,
        place: int,
        round_: int,
        specification: JobSpecification,
        basis: Loaded[Generation] | None = None,
    ) -> Generation:
        """Cancels a generation that has not ended in this round; returns its state after that.

        `place`: its number in the job's request; `basis`: its state, if the caller has just read it. Idempotent, also
        across calls.
        """
        requested = specification.requested

        def decide(state: Generation) -> Sequence[Any]:
            is_priced = state.started is None or costs_are_recorded(state.started.steps)
            command = generation.Cancel(
                gid=gid,
                job_id=requested.job_id,
                user_id=requested.user_id,
                round=round_,
                data=_shown_data(specification),
                chosen=requested.variables,
                step_costs={} if is_priced else planned_costs(specification, place),
            )
            return generation.decide(command, state)

        handled = await self.store.handle(
            GENERATION,
            gid,
            decide,
            specification.context_of(uuid5(gid, f"cancel:{round_}"), "canceller"),
            # Most of a large job has not started: its streams don't exist, and need not be read.
            basis=basis,
            new=not round_ and self.store.cached(GENERATION, gid) is None,
        )
        return handled.state

    async def take_result(
        self, *, job_id: UUID, gid: UUID, sid: UUID, attempt: int, outputs: list[Output], error: StepError | None
    ) -> Handled[Generation]:
        """Takes a worker's result of an attempt, or an error such as LOST. Raises NoSuchStep."""
        specification = await self.job_specifications.get(job_id)
        if specification is None:
            raise NoSuchStep(f"there is no job {job_id}")
        command = generation.TakeResult(
            sid=sid,
            attempt=attempt,
            outputs=outputs,
            error=error,
            now=self.clock(),
            data=_shown_data(specification),
            chosen=specification.requested.variables,
        )

        def decide(state: Generation) -> Sequence[Any]:
            if state.started is None or state.started.job_id != job_id:
                raise NoSuchStep(f"job {job_id} has no generation {gid}")
            return generation.decide(command, state)

        is_lost = error is generation.LOST
        command_id = uuid5(sid, f"{'lost' if is_lost else 'result'}:{attempt}")
        context = specification.context_of(command_id, "watchdog" if is_lost else "worker")
        return await self.store.handle(GENERATION, gid, decide, context)

    async def take_checkpoint(self, checkpoint: Checkpoint) -> Handled[Generation]:
        """Records what a step's next attempt must know. Raises NoSuchStep."""
        specification = await self.job_specifications.get(checkpoint.job_id)
        if specification is None:
            raise NoSuchStep(f"there is no job {checkpoint.job_id}")
        command = generation.TakeCheckpoint(
            checkpoint.sid, checkpoint.attempt, checkpoint.number, checkpoint.checkpoint
        )

        def decide(state: Generation) -> Sequence[Any]:
            if state.started is None or state.started.job_id != checkpoint.job_id:
                raise NoSuchStep(f"job {checkpoint.job_id} has no generation {checkpoint.gid}")
            return generation.decide(command, state)

        command_id = uuid5(checkpoint.sid, f"checkpoint:{checkpoint.attempt}:{checkpoint.number}")
        context = specification.context_of(command_id, "worker")
        return await self.store.handle(GENERATION, checkpoint.gid, decide, context)

    async def checkpoint_of(self, gid: UUID, sid: UUID) -> CheckpointState:
        """A step's newest recorded checkpoint."""
        return (await self.store.load(GENERATION, gid)).state.checkpoint_of(sid)

    async def is_current(self, gid: UUID, sid: UUID, attempt: int) -> bool:
        """Whether the step is waiting for the result of this attempt."""
        return (await self.store.load(GENERATION, gid)).state.is_current(sid, attempt)

    async def may_be_current(self, gid: UUID, sid: UUID, attempt: int) -> bool:
        """As `is_current`, but without a query if it was so in the state that this process has in memory.

        For callers whose command decides again on the recorded state.
        """
        cached = self.store.cached(GENERATION, gid)
        if cached is not None and cached.state.is_current(sid, attempt):
            return True
        return await self.is_current(gid, sid, attempt)

    async def end_generation(self, job_id: UUID, end: EndGeneration, context: Context) -> None:
        """Records in the job's stream that one of its generations ended; concurrent calls share an append."""
        await self._job_ends.add(job_id, end, context)

    async def _end_generations(self, job_id: UUID, ends: list[EndGeneration], context: Context) -> None:
        # The command's id is random: a retried end may be in a batch with other ones, which is another command. Ends
        # are idempotent by the job's state.
        context = Context(
            command_id=self.new_id(),
            actor=context.actor,
            correlation_id=context.correlation_id,
            causation_id=context.causation_id,
            traceparent=context.traceparent,
        )
        await self.command_job(job_id, EndGenerations(ends), context)


def _shown_data(specification: JobSpecification) -> dict[str, Any]:
    """What the job's user may see of what the artworks were made from; it is kept with the files."""
    requested = specification.requested
    return requested.data if requested.shares_instructions else {}
