"""Cancelling and resuming a job: by its user, or by an operator."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from uuid import UUID

from services.generation.deciders import ALLOWANCE, GENERATION, JOB, SOURCE
from services.generation.domain import preview_allowance
from services.generation.domain.generation import Generation
from services.generation.domain.generation.resume import LAST_COMPLETED, START, costs_are_recorded, resumption
from services.generation.domain.job import Job, Resume, Stop
from services.generation.domain.job.decline import declined_problem
from services.generation.domain.job.request import collection_of
from services.generation.domain.job.resume import check_resumable, resume
from services.generation.domain.job.state import OPEN
from services.generation.domain.preview_access import preview_terms, refuse_other_payer
from services.generation.domain.preview_allowance import PreviewLimit
from services.generation.handlers.commands import CommandHandlers
from services.generation.processes.start_generations import planned_costs
from services.generation.queries.collection_source import CollectionSources, archived_problem
from services.generation.queries.job_specification import JobSpecification
from shared.contracts.generation import ResumedGenerations
from shared.contracts.generation_input import MAX_DETAILS
from shared.contracts.problem import Detail, invalid, not_found
from shared.eventstore import Context, Loaded
from shared.eventstore.repeated_commands import is_recorded
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.eventstore.write_position import note

POLL_SECONDS = 0.05
BATCH = 200
"""Generations whose states are read at a time."""


class JobControl:
    """`cancel_wait`, `verdict_wait`: seconds that a request waits for its outcome, as in the settings."""

    def __init__(
        self, handlers: CommandHandlers, sources: CollectionSources, *, cancel_wait: float, verdict_wait: float
    ) -> None:
        self._handlers, self._sources = handlers, sources
        self._cancel_wait, self._verdict_wait = cancel_wait, verdict_wait

    async def own_job(self, job_id: UUID, user_id: UUID | None) -> Job:
        """The job, if it belongs to the user. `user_id` None: any user's, for operators. Raises NOT_FOUND."""
        state = (await self._handlers.store.load(JOB, job_id)).state
        if state.status in ("", "disowned") or user_id not in (None, state.user_id):
            raise not_found("The job")
        return state

    async def cancel(self, job_id: UUID, user_id: UUID | None, context: Context) -> Job:
        """Stops a job, and waits for up to `cancel_wait` until its open generations are cancelled: its state then.

        Idempotent. Raises NOT_FOUND, and JOB_HAS_ENDED for a job that ended in another way than by a cancellation.
        """
        await self.own_job(job_id, user_id)
        await self._handlers.command_job(job_id, Stop("cancelled"), context)
        return await self._until(job_id, self._cancel_wait, lambda job: job.status not in OPEN)

    async def resume(
        self, job_id: UUID, user_id: UUID | None, resumed_from: str, gids: Sequence[UUID] | None, context: Context
    ) -> Job:
        """Resumes a job that has ended, and waits for the decision of credits: its state then.

        What runs again is held from the credits of the job's owner, also if an operator resumes it; the event's actor
        is the user who resumed it.
        `resumed_from`: `last_completed`, `start`, or a component's id. `gids` None: all that have not completed.
        A visitor's job takes what runs again of the visitor's allowance. Idempotent by the context's command id. Raises
        NOT_FOUND, JOB_NOT_RESUMABLE, VALIDATION_FAILED, CONFLICT if the collection is archived, PREVIEW_DISABLED,
        PREVIEW_LIMIT_REACHED, and INSUFFICIENT_CREDITS or SPEND_LIMIT_REACHED if credits declined the hold.
        """
        job = await self.own_job(job_id, user_id)
        if not (context.repeatable and await is_recorded(self._handlers.store.pool, job_id, context)):
            command, limit = await self._planned(job_id, job, resumed_from, gids)
            if limit is None:
                await self._handlers.command_job(job_id, command, context)
            else:
                await self._handlers.command_preview(job_id, command, limit, context)
        job = await self._until(job_id, self._verdict_wait, lambda job: job.status != "pending")
        if job.declined:
            raise declined_problem(job)
        return job

    async def plan_resume(
        self, job_id: UUID, user_id: UUID | None, resumed_from: str, gids: Sequence[UUID] | None
    ) -> tuple[Job, Resume]:
        """The job, and what a resume of it would repeat. Raises as `resume` does, except for what credits decides."""
        job = await self.own_job(job_id, user_id)
        command, limit = await self._planned(job_id, job, resumed_from, gids)
        if limit is not None:
            allowance = await self._handlers.store.load(ALLOWANCE, limit.stream_id)
            [event] = resume(command, job)
            preview_allowance.decide(preview_allowance.reservation(event, job.completed, limit), allowance.state)
        return job, command

    async def _planned(
        self, job_id: UUID, job: Job, resumed_from: str, gids: Sequence[UUID] | None
    ) -> tuple[Resume, PreviewLimit | None]:
        """The limit is that of a visitor's job."""
        check_resumable(job)
        specification = await self._handlers.job_specifications.get(job_id)
        assert specification is not None, "a job that has ended was requested"
        limit = await self._preview_limit(job)
        await self._refuse_archived(collection_of(specification.requested))
        _check_request(specification, job, resumed_from, gids)
        chosen = list(job.unfinished) if gids is None else list(dict.fromkeys(gids))
        chosen.sort(key=job.unfinished.__getitem__)
        alike: defaultdict[tuple[str, int, tuple[int, ...]], list[UUID]] = defaultdict(list)
        for start in range(0, len(chosen), BATCH):
            batch = chosen[start : start + BATCH]
            for gid, loaded in (await self._handlers.store.load_many(GENERATION, batch)).items():
                status, cost, keep = _resumption(specification, job.unfinished[gid], loaded.state, resumed_from)
                alike[status, cost, keep].append(gid)
        command = Resume(
            after_round=job.round,
            resumed_from=resumed_from,
            generations=[
                ResumedGenerations(gids_of_kind, cost, "failed" if status == "failed" else "cancelled", list(keep))
                for (status, cost, keep), gids_of_kind in alike.items()
            ],
        )
        return command, limit

    async def _preview_limit(self, job: Job) -> PreviewLimit | None:
        """None for a job of the collection's owner. Raises PREVIEW_DISABLED, also if its payer pays no longer."""
        if job.preview_of is None or job.user_id is None:
            return None
        source = await self._sources.settled(job.preview_of)
        terms = preview_terms(source)
        refuse_other_payer(job.payer_id, source, terms)
        return PreviewLimit(job.preview_of, job.user_id, terms.max_generations)

    async def _refuse_archived(self, collection_id: UUID | None) -> None:
        if collection_id is not None and (await self._handlers.store.load(SOURCE, collection_id)).state.is_archived:
            raise archived_problem()

    async def _until(self, job_id: UUID, seconds: float, is_met: Callable[[Job], bool]) -> Job:
        """The job when the condition is met, or after `seconds`. The caller's next reads include what it shows."""
        store, loop = self._handlers.store, asyncio.get_running_loop()
        until = loop.time() + seconds
        while True:
            head = store.watermarks.value(HEAD_WATERMARK)
            loaded: Loaded[Job] = await store.load(JOB, job_id)
            if is_met(loaded.state) or loop.time() >= until:
                note(loaded.position)
                return loaded.state
            await asyncio.sleep(min(POLL_SECONDS, max(until - loop.time(), 0)))
            await store.watermarks.wait_beyond(HEAD_WATERMARK, head, min(1.0, max(until - loop.time(), 0)))


def _resumption(
    specification: JobSpecification, place: int, state: Generation, resumed_from: str
) -> tuple[str, int, tuple[int, ...]]:
    is_priced = state.started is None or costs_are_recorded(state.started.steps)
    step_costs = {} if is_priced else planned_costs(specification, place)
    keep, cost = resumption(state, resumed_from, specification.generations[place].cost, step_costs)
    is_charged = collection_of(specification.requested) is not None
    return state.status, cost if is_charged else 0, tuple(keep)


def _check_request(specification: JobSpecification, job: Job, resumed_from: str, gids: Sequence[UUID] | None) -> None:
    faults: list[Detail] = []
    step_ids = [str(step.id) for step in specification.generation_input.steps]
    if resumed_from not in (LAST_COMPLETED, START, *step_ids):
        accepted = f"last_completed, start, or the id of one of the collection's steps ({', '.join(step_ids[:20])})"
        faults.append(Detail("/from", f"must be {accepted}"))
    if gids is not None and not gids:
        faults.append(Detail("/generations", "is empty; leave it out to resume all that have not completed"))
    own = {generation.gid for generation in specification.generations}
    for index, gid in enumerate(gids or ()):
        if gid not in own:
            faults.append(Detail(f"/generations/{index}", "is not a generation of this job"))
        elif gid not in job.unfinished:
            faults.append(Detail(f"/generations/{index}", "has completed, so there is nothing to resume"))
    if faults:
        raise invalid("The job can't be resumed in this way", *faults[:MAX_DETAILS])
