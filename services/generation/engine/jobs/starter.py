"""Starts the generations of authorized jobs, a stream each, so that a large job leaves room for the jobs of others.

The replica that leads keeps the open jobs in memory and saves them in `open_jobs`, from which the next leader
continues.

Over 300 lines: admission, starts and what is saved of them share the state that only one replica has.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from uuid import UUID, uuid5

import msgspec
import structlog

from services.generation.computing import compute
from services.generation.deciders import JOB
from services.generation.domain.fair_shares import LEAST_SHARE, OpenJob, next_starts
from services.generation.domain.generation import Start
from services.generation.domain.job import Abandon, Job
from services.generation.engine.jobs.followers import ADMITTED, FIRST_LAG, MAX_LAG, MAX_LAG_WAIT, wait_for_followers
from services.generation.handlers.commands import CommandHandlers
from services.generation.processes.start_generations import (
    EVENTS,
    MAX_BATCH,
    NAME,
    REPLACES,
    SMALL_BATCH,
    Round,
    Run,
    next_batch,
    open_job,
    runs_of,
    started_counts,
    starts_of,
)
from services.generation.queries.job_specification import JobSpecification
from services.generation.tables.open_jobs import OpenJobsTable
from shared.backoff import Backoff
from shared.contracts.generation import (
    JobAuthorized,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobPaused,
    JobStopRequested,
    JobUnpaused,
)
from shared.eventstore import Context, RecordedEvent
from shared.eventstore.records import decode_context
from shared.handling.transient import is_transient
from shared.processes import Process

FIRST = LEAST_SHARE
"""Generations of each job's round that start though read tables and relay are behind."""
SAVE_EVERY = 0.25
"""Seconds between two writes to `open_jobs`. After a crash, generations started since then are started again."""

log = structlog.get_logger()


class Cause(msgspec.Struct, frozen=True):
    """The `job_authorized` that causes a job's starts, and what runs in the round that it authorizes."""

    event_id: UUID
    context: Context
    round: int = 0
    runs: Sequence[Run] | None = None


class GenerationStarter:
    """`window` and `most_open` are numbers of generations: see `domain/fair_shares.py`."""

    def __init__(self, handlers: CommandHandlers, window: int, most_open: int) -> None:
        self._handlers, self._window, self._most_open = handlers, window, most_open
        self._table = OpenJobsTable(handlers.store)
        self._jobs: dict[UUID, OpenJob] = {}
        self._causes: dict[UUID, Cause] = {}
        self._paused: set[UUID] = set()
        self._unadded: set[UUID] = set()
        """Jobs that are being added to `open_jobs`, or could not be for now."""
        self._unsaved_starts: set[UUID] = set()
        self._unsaved_ends: dict[UUID, int] = {}
        self._changed, self._unsaved = asyncio.Event(), asyncio.Event()

    def process(self) -> Process:
        loops = (self.start_all, self.save_all)
        return Process(NAME, EVENTS, self.react, note=self.note, begin=self.begin, beside=loops, replaces=REPLACES)

    async def begin(self) -> None:
        """Drops what an earlier lease has left in memory, and reads the open jobs."""
        self._jobs, self._causes, self._unsaved_starts, self._unsaved_ends = {}, {}, set(), {}
        self._paused, self._unadded = set(), set()
        for job, round_, event_id, context in await self._table.all():
            try:
                state = (await self._handlers.store.load(JOB, job.job_id)).state
                await self._take(job, Cause(event_id, decode_context(context), round_), state)
            except Exception as error:
                if is_transient(error):
                    raise
                log.exception("job_left_out", job_id=str(job.job_id))  # the next leader tries it again

    def note(self, recorded: RecordedEvent) -> bool:
        """Takes an event for which no state need be read: nearly all are ends of generations in a job's first round."""
        match recorded.event:
            case JobGenerationCompleted() | JobGenerationFailed() as event:
                # Events of early releases have no counts, and those of earlier rounds may be redelivered.
                if event.job_id in self._jobs and (not event.total or self._causes[event.job_id].round):
                    return False
                self._note_end(event.job_id, event.ended)
            case JobPaused(job_id=job_id):
                self._paused.add(job_id)
            case JobUnpaused(job_id=job_id):
                self._paused.discard(job_id)
                self._changed.set()
            case _:
                return False
        return True

    async def react(self, recorded: RecordedEvent) -> None:
        match recorded.event:
            case JobAuthorized() as event:
                await self._admit(event, recorded)
            case JobStopRequested(job_id=job_id):
                await self._leave_out(job_id)
            case JobGenerationCompleted(job_id=job_id) | JobGenerationFailed(job_id=job_id):
                if not self.note(recorded):
                    self._note_end(job_id, (await self._handlers.store.load(JOB, job_id)).state.ended)
            case _:
                self.note(recorded)

    async def _leave_out(self, job_id: UUID) -> None:
        """Starts no more of a job that is stopped; a redelivered event is about a round that has ended."""
        cause = self._causes.get(job_id)
        state = (await self._handlers.store.load(JOB, job_id)).state
        if cause is not None and (state.stopping or state.status != "processing"):
            self._drop(job_id)
            self._note_job_end(job_id, cause.round)

    async def _admit(self, event: JobAuthorized, recorded: RecordedEvent) -> None:
        """Starts a job, and adds it to `open_jobs` before the event counts as handled, so that no leader misses it."""
        if event.job_id in self._jobs and event.job_id not in self._unadded:
            return
        # What is newer than this state follows as events.
        loaded = self._handlers.store.cached(JOB, event.job_id)
        if loaded is None or loaded.version < recorded.version:
            loaded = await self._handlers.store.load(JOB, event.job_id)
        state = loaded.state
        if (state.status, state.round) != ("processing", event.round):
            return
        cause = Cause(recorded.event_id, recorded.context, event.round)
        try:
            specification = await self._specification(event.job_id)
            round_ = Round(specification, event.round, runs_of(specification, state))
        except Exception as error:
            if is_transient(error):
                raise
            await self._abandon(event.job_id, cause, error)
            return
        if event.job_id not in self._jobs:
            await self._take(open_job(event.job_id, round_, self._jobs.values()), cause, state)
        self._unadded.add(event.job_id)
        await self._table.add(open_job(event.job_id, round_, ()), event.round, recorded)
        self._unadded.discard(event.job_id)

    async def _take(self, job: OpenJob, cause: Cause, state: Job) -> None:
        if (state.status, state.round, state.stopping) == ("processing", cause.round, ""):
            runs = runs_of(await self._specification(job.job_id), state) if cause.round else None
            self._jobs[job.job_id] = msgspec.structs.replace(job, ended=state.ended)
            self._causes[job.job_id] = msgspec.structs.replace(cause, runs=runs)
            if state.is_paused:
                self._paused.add(job.job_id)
            else:  # it may have been paused in an earlier round
                self._paused.discard(job.job_id)
            self._handlers.store.watermarks.count(ADMITTED)
        else:
            self._note_job_end(job.job_id, cause.round)
        self._changed.set()

    def _note_end(self, job_id: UUID, ended: int) -> None:
        """Counts come in order; a redelivered event has a count that is not greater than the current one."""
        job = self._jobs.get(job_id)
        if job is None or ended <= job.ended:
            return
        self._jobs[job_id] = msgspec.structs.replace(job, ended=ended)
        if ended >= job.total:
            round_ = self._causes[job_id].round
            self._drop(job_id)
            self._note_job_end(job_id, round_)
        self._changed.set()

    def _note_job_end(self, job_id: UUID, round_: int) -> None:
        self._unsaved_ends[job_id] = round_
        self._unsaved.set()

    def _drop(self, job_id: UUID) -> None:
        self._jobs.pop(job_id, None)
        self._causes.pop(job_id, None)
        self._paused.discard(job_id)
        self._unsaved_starts.discard(job_id)

    async def start_all(self) -> None:
        """Starts what may start, whenever a job was admitted or a generation has ended, until cancelled.

        The first generations of a job don't wait for read tables and relay, which a large job keeps busy.
        """
        backoff, loop = Backoff(NAME, on=is_transient), asyncio.get_running_loop()
        waiting_since: float | None = None
        while True:
            self._changed.clear()
            jobs = [job for job in self._jobs.values() if job.job_id not in self._paused]
            chosen = next_starts(jobs, self._window, self._most_open)
            if not chosen:
                await self._changed.wait()
                continue
            first = [job for job in chosen if self._is_among_first(job)]
            try:
                if first:
                    await wait_for_followers(self._handlers.store, FIRST_LAG)
                    await self._start(first)
                else:
                    waiting_since = waiting_since or loop.time()
                    is_clear = await wait_for_followers(self._handlers.store, MAX_LAG)
                    if is_clear or loop.time() - waiting_since > MAX_LAG_WAIT:
                        waiting_since = None
                        await self._start(chosen)
            except Exception as error:  # noqa: BLE001 - the backoff raises what is not transient
                await backoff.pause(error)
            else:
                backoff.reset()

    def _is_among_first(self, job: OpenJob) -> bool:
        runs = self._causes[job.job_id].runs
        not_in_round = 0 if runs is None else job.total - len(runs)
        return job.started - not_in_round <= FIRST

    async def _start(self, chosen: Sequence[OpenJob]) -> None:
        """Raises transient errors; generations that were not started are chosen again."""
        rounds: dict[UUID, Round] = {}
        failed: dict[UUID, Exception] = {}
        for job_id in dict.fromkeys(job.job_id for job in chosen):
            try:
                specification = await self._specification(job_id)
                if (cause := self._causes.get(job_id)) is not None:  # else it was stopped meanwhile
                    rounds[job_id] = Round(specification, cause.round, cause.runs)
            except Exception as error:  # noqa: BLE001 - other jobs must start whatever the error is
                failed[job_id] = error
        chosen = [job for job in chosen if job.job_id in rounds]
        remaining = starts_of(chosen, rounds, failed)
        are_small = all(round_.specification.is_small for round_ in rounds.values())
        while batch := await compute(
            partial(next_batch, remaining, SMALL_BATCH if are_small else MAX_BATCH), at_once=are_small
        ):
            results = await asyncio.gather(*map(self._start_one, batch), return_exceptions=True)
            self._note_starts(chosen, batch, results, failed)
        for job_id, failure in failed.items():
            if is_transient(failure):
                raise failure
            await self._abandon_open(job_id, failure)

    async def _specification(self, job_id: UUID) -> JobSpecification:
        specification = await self._handlers.job_specifications.get(job_id)
        assert specification is not None, "an authorized job was requested"
        return specification

    async def _start_one(self, start: Start) -> None:
        """The command's id is derived from the generation's, so a repeated start is recorded once."""
        cause = self._causes.get(start.job_id)
        if cause is None:
            return  # it was stopped meanwhile
        context = cause.context
        await self._handlers.start_generation(
            start,
            Context(
                command_id=uuid5(start.gid, f"start:{start.round}" if start.round else "start"),
                actor=NAME,
                correlation_id=context.correlation_id or context.command_id,
                causation_id=cause.event_id,
                traceparent=context.traceparent,
            ),
        )

    def _note_starts(
        self,
        chosen: Sequence[OpenJob],
        batch: Sequence[Start],
        results: Sequence[BaseException | None],
        failed: dict[UUID, Exception],
    ) -> None:
        counts = started_counts(batch, results, failed)
        served = {job.job_id: job.served for job in chosen}
        for job_id, count in counts.items():
            job = self._jobs.get(job_id)
            if job is not None:
                self._jobs[job_id] = msgspec.structs.replace(job, started=job.started + count, served=served[job_id])
                self._unsaved_starts.add(job_id)
                self._unsaved.set()

    async def _abandon_open(self, job_id: UUID, error: Exception) -> None:
        """Abandons a job that can't be started: its user's other jobs would wait behind it."""
        cause = self._causes.get(job_id)
        if cause is None:
            return  # the job has ended
        try:
            await self._abandon(job_id, cause, error)
        except Exception as failure:
            if is_transient(failure):
                raise
            log.exception("job_left_out", job_id=str(job_id))
        else:
            self._note_job_end(job_id, cause.round)
        self._drop(job_id)

    async def _abandon(self, job_id: UUID, cause: Cause, error: Exception) -> None:
        log.error("job_abandoned", job_id=str(job_id), exc_info=error)
        reason = f"GENERATION_FAILED: the job can't be started ({type(error).__name__})"
        context = cause.context.caused(cause.event_id, f"{NAME}:abandon")
        await self._handlers.command_job(job_id, Abandon(reason), context)

    async def save_all(self) -> None:
        """Saves the changes of the open jobs every SAVE_EVERY seconds, until cancelled; retries transient errors."""
        backoff = Backoff(f"{NAME} in PostgreSQL", on=is_transient)
        while True:
            await self._unsaved.wait()
            await asyncio.sleep(SAVE_EVERY)
            self._unsaved.clear()
            await backoff.call(partial(self._save, set(self._unsaved_starts), dict(self._unsaved_ends)))

    async def _save(self, starts: set[UUID], ends: dict[UUID, int]) -> None:
        started = {
            job_id: (self._causes[job_id].round, self._jobs[job_id].started)
            for job_id in starts
            if job_id in self._jobs
        }
        await self._table.update(started, ends)
        self._unsaved_starts -= starts
        for job_id, round_ in ends.items():
            if self._unsaved_ends.get(job_id) == round_:
                del self._unsaved_ends[job_id]
