"""Requests for generations: planned from the collection and the request's body, recorded, and decided by credits."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from uuid import UUID, uuid5

import msgspec

from services.generation.computing import FEW_STEPS, compute, is_small
from services.generation.deciders import ALLOWANCE, JOB
from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.job import Job, RequestJob
from services.generation.domain.job.decline import declined_problem
from services.generation.domain.job.request import JOB_TYPE, disowned_problem
from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.dry_run_token import DryRun, plan_digest, read_token, write_token
from services.generation.domain.planning.job_plan import JobPlan, JobRequest, generation_count, plan_job
from services.generation.domain.planning.model_checks import AvailableModels
from services.generation.domain.planning.steps import Definitions
from services.generation.domain.preview_access import (
    input_of_visitor,
    payer_of,
    preview_terms,
    request_of_visitor,
    without_instructions,
)
from services.generation.domain.preview_allowance import PreviewLimit, limit_problem
from services.generation.domain.workflow.template import Model
from services.generation.handlers.commands import CommandHandlers
from services.generation.handlers.job_warnings import job_warnings, recorded_warnings
from services.generation.queries.collection_source import CollectionSources, RequiredVersion
from services.generation.workers.connected_workers import ConnectedWorkers
from shared.contracts.event import Event
from shared.contracts.generation import PREVIEW_JOB_TYPE, PreviewTerms, RequestedGeneration
from shared.contracts.generation_input import GenerationInput, read
from shared.contracts.problem import Detail, Problem
from shared.contracts.sizes import KIB, encoded_size
from shared.eventstore import Context, Loaded
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.eventstore.write_position import note

MAX_SAMPLE_BYTES = 256 * KIB
"""Bytes of drawn variables in one page of a dry run."""
POLL_SECONDS = 0.02
"""Least time between two queries for events that another replica may have recorded."""


class RequestedPreview(msgspec.Struct, frozen=True):
    """A request by a visitor. `left`: how many further generations of the collection they may make."""

    limit: PreviewLimit
    terms: PreviewTerms
    left: int


class PlannedJob(msgspec.Struct, frozen=True):
    """A valid request, with what it would cost and draw. `token`: with it, the job draws what this one would.

    `warnings`: what its user should change in the collection, although it runs.
    """

    source: CollectionSource
    generation_input: GenerationInput
    definitions: Definitions
    plan: JobPlan
    token: str
    max_queue_seconds: float | None = None
    preview: RequestedPreview | None = None
    warnings: list[Detail] = []

    def samples(self, after: int, limit: int) -> Iterator[tuple[RequestedGeneration, dict[str, Any]]]:
        """Generations from a place on, with their variables: MAX_SAMPLE_BYTES at most, but at least one."""
        room = MAX_SAMPLE_BYTES
        for index, generation in enumerate(self.plan.generations[after : after + limit]):
            values = draw(self.generation_input.variables, self.plan.chosen, generation.hash)
            room -= encoded_size(values)
            if room < 0 and index:
                return
            yield generation, values


def no_announced_models() -> AvailableModels:
    """Unknown models: none is checked."""
    return None


def announced_models(workers: ConnectedWorkers) -> AvailableModels:
    """The models that connected workers have announced; None if it is not known."""
    offered = workers.available_models(asyncio.get_running_loop().time())
    return None if offered is None else frozenset(Model(model.kind, model.name) for model in offered)


class JobRequests:
    """`verdict_wait`: seconds; as in the settings.

    `available_models`: what connected workers announce now; None if it is not known.
    """

    def __init__(
        self,
        handlers: CommandHandlers,
        sources: CollectionSources,
        *,
        verdict_wait: float,
        available_models: Callable[[], AvailableModels] = no_announced_models,
    ) -> None:
        self._handlers, self._sources, self._verdict_wait = handlers, sources, verdict_wait
        self._available_models = available_models

    async def plan(
        self,
        collection_id: UUID,
        user_id: UUID,
        request: JobRequest,
        context: Context,
        token: str | None = None,
        required: RequiredVersion | None = None,
    ) -> PlannedJob:
        """Checks a request and quotes it; records nothing. `token`: that of a dry run, whose hashes are used again.

        Raises Problem: as `CollectionSources.get`, WORKFLOW_NOT_FOUND, MODEL_UNAVAILABLE, VALIDATION_FAILED,
        PREVIEW_LIMIT_REACHED, and CONFLICT if the plan is not the one that the dry run showed.
        """
        dry_run = read_token(token) if token is not None else None
        source = await self._sources.get(collection_id, user_id, required)
        if source.user_id == user_id:
            return await self._planned(source, request, context, dry_run)
        request = request_of_visitor(request)
        preview = await self._preview(collection_id, user_id, request, source)
        try:
            return await self._planned(source, request, context, dry_run, preview)
        except Problem as problem:
            raise problem if preview.terms.is_remixable else without_instructions(problem) from None

    async def _planned(
        self,
        source: CollectionSource,
        request: JobRequest,
        context: Context,
        dry_run: DryRun | None,
        preview: RequestedPreview | None = None,
    ) -> PlannedJob:
        is_short = is_small(source.data)
        generation_input, count = await compute(partial(_read, source.data, request), at_once=is_short)
        if preview is not None:
            generation_input = input_of_visitor(generation_input)
        names = (step.workflow for step in generation_input.steps)
        workflows = await self._handlers.workflow_definitions.all_current(names)
        definitions = {name: workflow.definition for name, workflow in workflows.items()}
        job_id, available = job_id_of(context), self._available_models()
        seed = context.command_id if dry_run is None else dry_run.seed

        def plan() -> tuple[JobPlan, str, list[Detail]]:
            hashes = default_hashes(seed, count)
            job_plan = plan_job(generation_input, definitions, request, job_id, hashes, available)
            versions = {name: definition.version for name, definition in definitions.items()}
            digest = plan_digest(source.data, versions, job_plan)
            if dry_run is not None:
                dry_run.check(digest)
            shows_steps = preview is None or preview.terms.is_remixable
            warnings = job_warnings(generation_input, workflows) if shows_steps else []
            return job_plan, write_token(seed, digest), warnings

        is_short = is_short and count * len(generation_input.steps) <= FEW_STEPS
        job_plan, new_token, warnings = await compute(plan, at_once=is_short)
        queue_seconds = request.max_queue_seconds
        return PlannedJob(source, generation_input, definitions, job_plan, new_token, queue_seconds, preview, warnings)

    async def _preview(
        self, collection_id: UUID, visitor_id: UUID, request: JobRequest, source: CollectionSource
    ) -> RequestedPreview:
        """Raises PREVIEW_LIMIT_REACHED, before anything is planned. The allowance decides again on the request."""
        terms = preview_terms(source)
        limit = PreviewLimit(collection_id, visitor_id, terms.max_generations)
        left = (await self._handlers.store.load(ALLOWANCE, limit.stream_id)).state.left(limit.most)
        if (request.generations or 0) > left or not left:
            raise limit_problem(limit.most, left)
        return RequestedPreview(limit, terms, left)

    async def request(
        self,
        collection_id: UUID,
        user_id: UUID,
        request: JobRequest,
        context: Context,
        token: str | None = None,
        required: RequiredVersion | None = None,
    ) -> tuple[UUID, Job, list[Detail]]:
        """Requests a job, and waits for the decision of credits: the job's id, its state then, and warnings.

        A visitor's job is recorded together with what it takes of the visitor's allowance. Idempotent by the context's
        command id. Raises Problem as `plan` does, INSUFFICIENT_CREDITS or SPEND_LIMIT_REACHED if credits declined the
        job, and CONFLICT if it was lost in a restore.
        """
        job_id = job_id_of(context)
        if not await self._is_repeated(job_id, context):
            planned = await self.plan(collection_id, user_id, request, context, token, required)
            command = _command(job_id, collection_id, planned)
            events, recorded_as = await self._record(command, context, planned.preview)
            self._handlers.job_specifications.remember(
                events, recorded_as, planned.generation_input, planned.definitions
            )
            warnings = planned.warnings
        else:
            handlers = self._handlers
            warnings = await recorded_warnings(handlers.store, handlers.workflow_definitions, job_id)
        return job_id, await self._authorized(job_id), warnings

    async def request_test(self, command: RequestJob, context: Context) -> Job:
        """Requests the test of a workflow; otherwise as `request`."""
        if not await self._is_repeated(command.job_id, context):
            await self._record(command, context)
        return await self._authorized(command.job_id)

    async def _is_repeated(self, job_id: UUID, context: Context) -> bool:
        return context.repeatable and bool((await self._handlers.store.load(JOB, job_id)).version)

    async def _record(
        self, command: RequestJob, context: Context, preview: RequestedPreview | None = None
    ) -> tuple[Sequence[Event], Context]:
        """The events, none if the request had been recorded before, and the context that they were recorded with."""
        # The job's id is derived from the command's, so its state shows whether the command was carried out.
        context = msgspec.structs.replace(context, repeatable=False)
        if preview is None:
            return (await self._handlers.command_job(command.job_id, command, context)).events, context
        return await self._handlers.command_preview(command.job_id, command, preview.limit, context), context

    async def _authorized(self, job_id: UUID) -> Job:
        job = await self._decided(job_id)
        note(job.position)  # the caller's next reads include it
        if job.state.status == "disowned":
            raise disowned_problem()
        if job.state.status == "rejected":
            raise declined_problem(job.state)
        return job.state

    async def _decided(self, job_id: UUID) -> Loaded[Job]:
        """The job when credits has decided, or still pending after `verdict_wait`.

        The replica that consumes the decision has the job's state in memory; others query it every POLL_SECONDS.
        """
        store, loop = self._handlers.store, asyncio.get_running_loop()
        until, next_query = loop.time() + self._verdict_wait, loop.time() + POLL_SECONDS
        while True:
            head = store.watermarks.value(HEAD_WATERMARK)
            job = store.cached(JOB, job_id)
            now = loop.time()
            if job is None or (job.state.status == "pending" and now >= next_query):
                job = await store.load(JOB, job_id)
                next_query, patience = loop.time() + POLL_SECONDS, until - loop.time()
            else:
                patience = min(next_query, until) - now
            if job.state.status != "pending" or loop.time() >= until:
                return job
            await store.watermarks.wait_beyond(HEAD_WATERMARK, head, max(patience, 0))


def _read(data: dict[str, Any], request: JobRequest) -> tuple[GenerationInput, int]:
    """Raises VALIDATION_FAILED for data that is not valid."""
    generation_input = read(data)
    return generation_input, generation_count(generation_input, request)


def job_id_of(context: Context) -> UUID:
    """Derived from the command's id, so that a repeated command is for the same job."""
    return uuid5(context.command_id, "job")


def default_hashes(seed: UUID, count: int) -> Sequence[str]:
    """Hashes for a job that states none, derived from its command's id or a dry run's: 64 hex digits each."""
    return [hashlib.sha256(seed.bytes + index.to_bytes(4, "big")).hexdigest() for index in range(count)]


def _command(job_id: UUID, collection_id: UUID, planned: PlannedJob) -> RequestJob:
    source, plan, preview = planned.source, planned.plan, planned.preview
    assert source.user_id is not None, "an adopted collection has an owner"
    assert source.project_id is not None, "an adopted collection has a project"
    return RequestJob(
        job_id=job_id,
        user_id=source.user_id if preview is None else preview.limit.visitor_id,
        collection_id=collection_id,
        project_id=source.project_id,
        title=source.title,
        data=source.data,
        workflow_versions={name: definition.version for name, definition in planned.definitions.items()},
        variables=plan.chosen,
        generations=plan.generations,
        quoted=plan.quoted,
        breakdown=plan.breakdown,
        encryption_enabled=source.encryption_enabled,
        job_type=JOB_TYPE if preview is None else PREVIEW_JOB_TYPE,
        max_queue_seconds=planned.max_queue_seconds,
        payer_id=None if preview is None else payer_of(source, preview.terms),
        shares_instructions=preview is None or preview.terms.is_remixable,
    )
