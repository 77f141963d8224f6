"""A request to generate: from the collection and the body to a job, or to the reason why not."""

import asyncio
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any
from uuid import UUID, uuid5

import msgspec

from services.generation.domain.collection_source import CollectionSource
from services.generation.domain.job import Job, RequestJob
from services.generation.domain.payload.draws import choose, draw
from services.generation.domain.planning.job_plan import Definitions, JobPlan, Request, plan_job, wanted
from services.generation.handlers import JOB, SOURCE, Engine
from shared.contracts.generation import RequestedGeneration
from shared.contracts.generation_input import GenerationInput, read
from shared.contracts.problem import Problem, not_found
from shared.contracts.sizes import KIB, encoded_size
from shared.eventstore import Context, Loaded
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.eventstore.write_position import note
from shared.http.positions import History, not_yet

SAMPLES, SAMPLE_BYTES = 100, 256 * KIB
"""How many generations, and how many bytes of what they draw, a dry run shows."""
COLLECTIONS = "collections"
"""The service that says which collections there are."""
LOOK_SECONDS = 0.02
"""Seconds at least between two looks into history for what another replica may have taken in."""


class Planned(msgspec.Struct, frozen=True):
    """A job that could be requested, with what it would draw."""

    source: CollectionSource
    given: GenerationInput
    definitions: Definitions
    plan: JobPlan

    def samples(self) -> Iterator[tuple[RequestedGeneration, dict[str, Any]]]:
        """The first generations with what each draws, as many as an answer has room for; one at least."""
        room = SAMPLE_BYTES
        for each in self.plan.generations[:SAMPLES]:
            drawn = draw(self.given.variables, self.plan.chosen, each.hash)
            room -= encoded_size(drawn)
            if room < 0 and each is not self.plan.generations[0]:
                return
            yield each, drawn


class GenerationRequests:
    """`verdict_wait` and `adoption_wait` are seconds, as in the settings."""

    def __init__(self, engine: Engine, history: History, *, verdict_wait: float, adoption_wait: float) -> None:
        self._engine, self._history = engine, history
        self._verdict_wait, self._adoption_wait = verdict_wait, adoption_wait

    async def plan(self, collection_id: UUID, user_id: UUID, request: Request, context: Context) -> Planned:
        """Everything that can be wrong is found here, and nothing recorded. Raises Problem."""
        source = await self._source(collection_id, user_id)
        given, count = await asyncio.to_thread(_read, source.data, request)
        names = dict.fromkeys(step.workflow for step in given.steps)
        found = {name: await self._engine.workflows.newest(name) for name in names}
        definitions = {name: definition for name, definition in found.items() if definition is not None}
        job_id = job_id_of(context)

        def planned() -> JobPlan:
            return plan_job(given, definitions, request, job_id, made_hashes(context.command_id, count))

        plan = await asyncio.to_thread(planned)
        return Planned(source, given, definitions, plan)

    async def request(self, collection_id: UUID, user_id: UUID, request: Request, context: Context) -> tuple[UUID, Job]:
        """The job, and its state after the verdict or after waiting for it.

        The same command again gives the same job. Raises Problem, INSUFFICIENT_CREDITS when credits declined it.
        """
        job_id = job_id_of(context)
        before = await self._engine.store.load(JOB, job_id) if context.repeatable else None
        if before is None or not before.version:
            planned = await self.plan(collection_id, user_id, request, context)
            command = _command(job_id, collection_id, planned)
            # The id is the command's own, so whether it came before shows in the job's state.
            await self._engine.command_job(job_id, command, msgspec.structs.replace(context, repeatable=False))
        job = await self._verdict(job_id)
        note(job.position)  # what is read after the answer is not older than it
        if job.state.status == "disowned":
            raise Problem("CONFLICT", "This request was taken back with later history: send it with another key")
        if job.state.status == "rejected":
            raise Problem("INSUFFICIENT_CREDITS", job.state.error)
        return job_id, job.state

    async def _verdict(self, job_id: UUID) -> Loaded[Job]:
        """The job when credits has said whether it holds what the job needs, or when that has taken too long.

        A replica that takes the answer in itself has the job's state in hand then, without a query.
        """
        store, loop = self._engine.store, asyncio.get_running_loop()
        until, next_look = loop.time() + self._verdict_wait, loop.time() + LOOK_SECONDS
        while True:
            seen = store.watermarks.value(HEAD_WATERMARK)
            job = store.cached(JOB, job_id)
            now = loop.time()
            if job is None or (job.state.status == "pending" and now >= next_look):
                job = await store.load(JOB, job_id)
                next_look, patience = loop.time() + LOOK_SECONDS, until - loop.time()
            else:
                patience = min(next_look, until) - now
            if job.state.status != "pending" or loop.time() >= until:
                return job
            await store.watermarks.wait_beyond(HEAD_WATERMARK, seen, max(patience, 0))

    async def _source(self, collection_id: UUID, user_id: UUID) -> CollectionSource:
        """The user's collection. One that was created a moment ago may still be on its way here.

        Not found is only what is still unknown when everything that collections had told has been taken in.
        """
        source = await self._adopted(collection_id) or await self._just_adopted(collection_id)
        if source is None:
            if await self._history.is_behind({COLLECTIONS}, self._adoption_wait):
                raise not_yet(COLLECTIONS)
            source = await self._adopted(collection_id)
        if source is None or source.user_id != user_id:
            raise not_found("The collection")
        return source

    async def _adopted(self, collection_id: UUID) -> CollectionSource | None:
        loaded = await self._engine.store.load(SOURCE, collection_id)
        return loaded.state if loaded.version else None

    async def _just_adopted(self, collection_id: UUID) -> CollectionSource | None:
        """Waits for it, a moment: for those who don't say what they have seen."""
        store, loop = self._engine.store, asyncio.get_running_loop()
        until = loop.time() + self._adoption_wait
        while (left := until - loop.time()) > 0:
            seen = store.watermarks.value(HEAD_WATERMARK)
            if source := await self._adopted(collection_id):
                return source
            await asyncio.sleep(min(LOOK_SECONDS, left))
            await store.watermarks.wait_beyond(HEAD_WATERMARK, seen, max(until - loop.time(), 0))
        return None


def _read(data: dict[str, Any], request: Request) -> tuple[GenerationInput, int]:
    given = read(data)
    choose(given.variables, request.variables)
    return given, wanted(given, request)


def job_id_of(context: Context) -> UUID:
    """A command asks for one job: the same command again, for the same."""
    return uuid5(context.command_id, "job")


def made_hashes(command_id: UUID, count: int) -> Sequence[str]:
    """As many hashes as a job needs, from the id of the command that asks for it: 64 hex digits each."""
    return [hashlib.sha256(command_id.bytes + index.to_bytes(4, "big")).hexdigest() for index in range(count)]


def _command(job_id: UUID, collection_id: UUID, planned: Planned) -> RequestJob:
    source, plan = planned.source, planned.plan
    assert source.user_id is not None, "an adopted collection has an owner"
    assert source.project_id is not None, "an adopted collection has a project"
    return RequestJob(
        job_id=job_id,
        user_id=source.user_id,
        collection_id=collection_id,
        project_id=source.project_id,
        title=source.title,
        data=source.data,
        workflow_versions={name: definition.version for name, definition in planned.definitions.items()},
        variables=plan.chosen,
        generations=plan.generations,
        quoted=plan.quoted,
        encryption_enabled=source.encryption_enabled,
    )
