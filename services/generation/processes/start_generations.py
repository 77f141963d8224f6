"""Jobs whose credits are held start their generations: one stream each, planned as they were quoted.

Not all at once: `domain/fair_shares.py` says which ones begin when others have ended, so that a large job leaves room
for the jobs of others. What is open is remembered in memory by the replica that leads, and kept in
`open_jobs`, from which the next leader goes on.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import LiteralString
from uuid import UUID, uuid5

import msgspec
import structlog

from services.generation.domain.fair_shares import OpenJob, next_starts
from services.generation.domain.generation import Start
from services.generation.domain.job import Abandon, Job
from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.job_plan import plan_steps
from services.generation.handlers import JOB, Engine
from services.generation.job_specifications import JobFacts
from services.generation.projections.generations import GENERATIONS
from services.generation.projections.jobs import JOBS
from services.generation.projections.open_steps import OPEN_STEPS
from shared.backoff import Backoff
from shared.contracts.generation import JobAuthorized, JobGenerationCompleted, JobGenerationFailed
from shared.contracts.sizes import KIB, encoded_size
from shared.eventstore import Context, RecordedEvent
from shared.eventstore.records import decode_context
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.handling.transient import is_transient
from shared.messaging.refusals import NAME as RELAY
from shared.processes import Process

NAME = "start-generations-v2"
BEFORE = "start-generations-v1"
"""The process of releases that started all generations of a job at once. Its checkpoint stays where it is: to an
operator who goes back to such a release, jobs that are not entirely started are jobs to be started."""
MAX_BATCH = 100
MAX_BATCH_BYTES = 4 * 1024 * KIB
KEEP_EVERY = 0.25
"""Seconds between two writings of how many have started. After a crash, those since then are started once more."""
MOST_BEHIND = 200
"""Positions that relay and read tables may be behind; while they are, nothing new begins."""
LONGEST_HOLD = 1.0
"""Seconds that one round waits for them: where they stand still, jobs go on slowly."""
TABLES = (JOBS, GENERATIONS, OPEN_STEPS)
"""Those that are in order move together: the first of these says how far they are."""

INSERT_OPEN_JOB: LiteralString = """
insert into open_jobs (job_id, user_id, total, started, priority, position, event_id, context)
values (%b, %b, %b, 0, %b, %b, %b, %b) on conflict (job_id) do nothing"""
OPEN_JOBS: LiteralString = """
select job_id, user_id, total, started, priority, event_id, context from open_jobs order by position"""
UPDATE_STARTED: LiteralString = """
update open_jobs o set started = greatest(o.started, n.started)
from unnest(%b::uuid[], %b::integer[]) as n(job_id, started) where o.job_id = n.job_id"""
DELETE_OVER: LiteralString = "delete from open_jobs where job_id = any(%b::uuid[])"

log = structlog.get_logger()


class Cause(msgspec.Struct, frozen=True):
    """The `job_authorized` from which a job's starts follow."""

    event_id: UUID
    context: Context


def start_of(facts: JobFacts, place: int) -> Start:
    """The start of the generation at a place of a job; they begin in the order in which they were requested."""
    requested, each = facts.requested, facts.generations[place]
    values = draw(facts.given.variables, requested.variables, each.hash)
    return Start(
        gid=each.gid,
        job_id=requested.job_id,
        user_id=requested.user_id,
        collection_id=requested.collection_id,
        hash=each.hash,
        variables=values,
        steps=plan_steps(facts.given, facts.definitions, values, each.gid, each.hash),
        cost=each.cost,
        encryption_enabled=requested.encryption_enabled,
    )


def next_batch(remaining: Iterator[Start]) -> list[Start]:
    """As many as are recorded together: planning them is work enough to be done beside the event loop."""
    batch: list[Start] = []
    size = 0
    while len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES and (start := next(remaining, None)) is not None:
        batch.append(start)
        size += encoded_size(start)
    return batch


class FairStarts:
    """What the process's leader does. `window` and `most_open` count generations: see `domain/fair_shares.py`."""

    def __init__(self, engine: Engine, window: int, most_open: int) -> None:
        self._engine, self._window, self._most_open = engine, window, most_open
        self.jobs: dict[UUID, OpenJob] = {}
        self._causes: dict[UUID, Cause] = {}
        self._over: set[UUID] = set()
        self._unkept: set[UUID] = set()
        self._news, self._to_keep = asyncio.Event(), asyncio.Event()

    def process(self) -> Process:
        events = (JobAuthorized, JobGenerationCompleted, JobGenerationFailed)
        return Process(NAME, events, self.react, begin=self.begin, beside=(self.start, self.keep), replaces=BEFORE)

    async def begin(self) -> None:
        """Forgets what an earlier lease has left in memory, and reads what is open."""
        self.jobs, self._causes, self._over, self._unkept = {}, {}, set(), set()
        for job_id, user_id, total, started, priority, event_id, context in await self._engine.store.pool.rows(
            OPEN_JOBS, ()
        ):
            job = OpenJob(job_id, user_id, total, started, priority=priority)
            try:
                await self._take_in(job, Cause(event_id, decode_context(context)))
            except Exception as error:
                if is_transient(error):
                    raise
                log.exception("job_left_out", job_id=str(job_id))  # others must start; the next leader tries again

    async def react(self, recorded: RecordedEvent) -> None:
        match recorded.event:
            case JobAuthorized() as event:
                await self._admit(event, recorded)
            case (
                JobGenerationCompleted(job_id=job_id, ended=ended, total=total)
                | JobGenerationFailed(job_id=job_id, ended=ended, total=total)
            ):
                if not total and job_id in self.jobs:  # of a release whose events did not count
                    ended = _ended((await self._engine.store.load(JOB, job_id)).state)
                self._note_end(job_id, ended)

    async def _admit(self, event: JobAuthorized, recorded: RecordedEvent) -> None:
        """Kept in `open_jobs` before the event counts as done, so that no leader leaves it out."""
        if event.job_id in self.jobs:
            return
        cause = Cause(recorded.event_id, recorded.context)
        try:
            facts = await self._facts(event.job_id)
        except Exception as error:
            if is_transient(error):
                raise
            await self._abandon(event.job_id, cause, error)
            return
        user_id, total = facts.requested.user_id, facts.requested.count
        priority = max((each.priority for each in facts.definitions.values()), default=0)
        kept = (event.job_id, user_id, total, priority, recorded.position, recorded.event_id, recorded.metadata)
        async with self._engine.store.pool.connection() as connection:
            await connection.execute(INSERT_OPEN_JOB, kept)
        served = max((job.served for job in self.jobs.values() if job.user_id == user_id), default=0)
        await self._take_in(OpenJob(event.job_id, user_id, total, priority=priority, served=served), cause)

    async def _take_in(self, job: OpenJob, cause: Cause) -> None:
        state = (await self._engine.store.load(JOB, job.job_id)).state
        if state.status == "processing":
            self.jobs[job.job_id] = msgspec.structs.replace(job, ended=_ended(state))
            self._causes[job.job_id] = cause
        else:
            self._over.add(job.job_id)
            self._to_keep.set()
        self._news.set()

    def _note_end(self, job_id: UUID, ended: int) -> None:
        """Counts come in order; one that comes again is smaller than what is known."""
        job = self.jobs.get(job_id)
        if job is None or ended <= job.ended:
            return
        self.jobs[job_id] = msgspec.structs.replace(job, ended=ended)
        if ended >= job.total:
            self._leave(job_id)
            self._over.add(job_id)
            self._to_keep.set()
        self._news.set()

    def _leave(self, job_id: UUID) -> None:
        self.jobs.pop(job_id, None)
        self._causes.pop(job_id, None)
        self._unkept.discard(job_id)

    async def start(self) -> None:
        """Starts what may begin, whenever something has ended or was admitted, until cancelled."""
        backoff = Backoff(NAME, on=is_transient)
        while True:
            self._news.clear()
            chosen = next_starts(self.jobs.values(), self._window, self._most_open)
            if not chosen:
                await self._news.wait()
                continue
            try:
                await self._until_others_follow()
                await self._start(chosen)
            except Exception as error:  # noqa: BLE001 - what is not transient is raised again
                await backoff.pause(error)
            else:
                backoff.reset()

    async def _until_others_follow(self) -> None:
        """Read tables and relay are followers, which others' requests wait for: a large job must not outrun them."""
        marks, loop = self._engine.store.watermarks, asyncio.get_running_loop()
        until, goal = loop.time() + LONGEST_HOLD, marks.value(HEAD_WATERMARK) - MOST_BEHIND
        for follower in (max((table.watermark for table in TABLES), key=marks.value), RELAY):
            if 0 < marks.value(follower) < goal:  # 0: nothing was heard of it yet
                await marks.wait_for(follower, goal, max(0.0, until - loop.time()))

    async def _start(self, chosen: Sequence[OpenJob]) -> None:
        """Raises what is transient, with nothing lost: what was not started is chosen again."""
        facts: dict[UUID, JobFacts] = {}
        failed: dict[UUID, Exception] = {}
        for job_id in dict.fromkeys(job.job_id for job in chosen):
            try:
                facts[job_id] = await self._facts(job_id)
            except Exception as error:  # noqa: BLE001 - whatever it is, other jobs must start
                failed[job_id] = error
        remaining = _planned(chosen, facts, failed)
        while batch := await asyncio.to_thread(next_batch, remaining):
            results = await asyncio.gather(*map(self._start_one, batch), return_exceptions=True)
            self._count(chosen, batch, results, failed)
        for job_id, failure in failed.items():
            if is_transient(failure):
                raise failure
            await self._give_up(job_id, failure)

    async def _facts(self, job_id: UUID) -> JobFacts:
        facts = await self._engine.jobs.facts(job_id)
        assert facts is not None, "an authorized job was requested"
        return facts

    async def _start_one(self, start: Start) -> None:
        """A generation's start is a command of its own: one that is repeated is recorded once."""
        cause = self._causes[start.job_id]
        context = cause.context
        await self._engine.start_generation(
            start,
            Context(
                command_id=uuid5(start.gid, "start"),
                actor=NAME,
                correlation_id=context.correlation_id or context.command_id,
                causation_id=cause.event_id,
                traceparent=context.traceparent,
            ),
        )

    def _count(
        self,
        chosen: Sequence[OpenJob],
        batch: Sequence[Start],
        results: Iterable[BaseException | None],
        failed: dict[UUID, Exception],
    ) -> None:
        """Of each job, as many as have started one after the other: behind one that failed, all are tried again."""
        done: defaultdict[UUID, int] = defaultdict(int)
        for start, result in zip(batch, results, strict=True):
            if isinstance(result, Exception):
                failed.setdefault(start.job_id, result)
            elif result is not None:
                raise result
            if start.job_id not in failed:
                done[start.job_id] += 1
        served = {job.job_id: job.served for job in chosen}
        for job_id, count in done.items():
            job = self.jobs.get(job_id)
            if job is not None:
                self.jobs[job_id] = msgspec.structs.replace(job, started=job.started + count, served=served[job_id])
                self._unkept.add(job_id)
                self._to_keep.set()

    async def _give_up(self, job_id: UUID, error: Exception) -> None:
        """A job that would fail for ever: its user's other jobs would wait behind it."""
        cause = self._causes.get(job_id)
        if cause is None:
            return  # it is over
        try:
            await self._abandon(job_id, cause, error)
        except Exception as failure:
            if is_transient(failure):
                raise
            log.exception("job_left_out", job_id=str(job_id))
        else:
            self._over.add(job_id)
            self._to_keep.set()
        self._leave(job_id)

    async def _abandon(self, job_id: UUID, cause: Cause, error: Exception) -> None:
        log.error("job_abandoned", job_id=str(job_id), exc_info=error)
        reason = f"GENERATION_FAILED: the job can't be started ({type(error).__name__})"
        context = cause.context.caused(cause.event_id, f"{NAME}:abandon")
        await self._engine.command_job(job_id, Abandon(reason), context)

    async def keep(self) -> None:
        """Writes how far the jobs have come, until cancelled; what can't be written now is written later."""
        backoff = Backoff(f"{NAME} in PostgreSQL", on=is_transient)
        while True:
            await self._to_keep.wait()
            await asyncio.sleep(KEEP_EVERY)
            self._to_keep.clear()
            await backoff.call(partial(self._keep, set(self._unkept), set(self._over)))

    async def _keep(self, unkept: set[UUID], over: set[UUID]) -> None:
        started = {job_id: self.jobs[job_id].started for job_id in unkept if job_id in self.jobs}
        async with self._engine.store.pool.connection() as connection:
            if started:
                await connection.execute(UPDATE_STARTED, (list(started), list(started.values())))
            if over:
                await connection.execute(DELETE_OVER, (list(over),))
        self._unkept -= unkept
        self._over -= over


def _planned(
    chosen: Sequence[OpenJob], facts: Mapping[UUID, JobFacts], failed: dict[UUID, Exception]
) -> Iterator[Start]:
    """The starts that were chosen, but for those of jobs that can't be planned."""
    for job in chosen:
        if job.job_id in failed:
            continue
        try:
            start = start_of(facts[job.job_id], job.started - 1)
        except Exception as error:  # noqa: BLE001 - whatever it is, other jobs must start
            failed[job.job_id] = error
        else:
            yield start


def _ended(state: Job) -> int:
    return state.total - state.open
