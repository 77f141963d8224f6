"""Finds the series that a request means: the job and the artworks that it names, or else the only ones that fit.

The table of jobs is written from generation's events, which can arrive after generation has answered that a job ended.
So an unknown or unfinished job is waited for, and this service chooses a job by itself only when all events of
generation that could change the choice have arrived.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString, TypeVar
from uuid import UUID

import msgspec

from services.collections.domain.artwork.tokens import Token
from services.collections.domain.artwork.trait_types import document_rules
from services.collections.domain.collection.publishing import Resolution
from services.collections.domain.collection.selection import Choice, FinishedJob, bounded, selected
from services.collections.domain.collection.series_faults import token_faults
from services.collections.domain.collection.state import Collection
from services.collections.projections.series import SERIES
from services.collections.queries.token import FinishedSeries, TokenQueries
from shared.contracts.collections import DocumentRules
from shared.contracts.problem import Detail, Problem, invalid
from shared.eventstore import EventStore
from shared.http.positions import History, not_yet_handled

T = TypeVar("T")

GENERATION = "generation"
WAIT_SECONDS = 3.0
"""Longest wait for the end of a running job. Its event arrives within milliseconds of its answer if nothing is down."""
UNKNOWN_SECONDS = 1.0
"""Longest wait for a job that is not in the table: the event of its request was published long before its end."""
POLL_SECONDS = 0.1
"""Longest time between two queries: the table of artworks may be updated after that of series."""
NO_JOB = "is not the id of a job of this collection; if it ended a moment ago, try again"
MAX_CANDIDATES = 20
"""Jobs that a refusal names."""

SELECT_JOB: LiteralString = "select artworks, outcome from series_v3 where collection_id = %s and job_id = %s"

# Of unfinished jobs, only the owner's that still run could be meant: a visitor's preview never finishes.
SELECT_JOBS: LiteralString = """
(select job_id, artworks, finished_at from series_v3
 where collection_id = %s and user_id = %s and finished_at is null and outcome is null limit %s)
union all
(select job_id, artworks, finished_at from series_v3
 where collection_id = %s and finished_at is not null order by finished_at desc, job_id desc limit %s)"""

SELECT_JOBS_OF_GENERATIONS: LiteralString = """
select distinct job_id from artworks_v1 where collection_id = %s and gid = any(%s) and made_at is not null limit 2"""

SELECT_FINISHED_GIDS: LiteralString = (
    "select gid from artworks_v1 where job_id = %s and made_at is not null order by place"
)


class JobOfCollection(msgspec.Struct, frozen=True):
    """`artworks` and `finished_at` are None until the job has finished with at least one artwork."""

    job_id: UUID
    artworks: int | None
    finished_at: datetime | None


@dataclass(frozen=True)
class SeriesQueries:
    store: EventStore
    token_queries: TokenQueries
    history: History

    async def resolve(self, state: Collection, choice: Choice) -> tuple[Resolution, list[Token]]:
        """What would be sold, and its tokens; the resolution has the faults that prevent the sale.

        Raises UNAVAILABLE while events of generation are on the way that may matter.
        """
        try:
            series = None if choice.is_made else state.chosen_series
            if series is None:
                series = selected(await self.finished_job(state, choice), choice.generations)
        except Problem as problem:
            if problem.code != "VALIDATION_FAILED":
                raise
            return Resolution(None, problem.details, state.chosen_series), []
        tokens = await self.token_queries.tokens(FinishedSeries.of(series))
        faults, documents = await asyncio.to_thread(_judged, tokens)
        return Resolution(series, faults, state.chosen_series, documents=documents), tokens

    async def finished_job(self, state: Collection, choice: Choice) -> FinishedJob:
        """The job that a choice names or, without one, the only job that has finished.

        Raises VALIDATION_FAILED at `/job_id` or `/generations`, with the candidates; UNAVAILABLE as `resolve`.
        """
        assert state.collection_id is not None, "a series is chosen of a collection that exists"
        job_id = choice.job_id
        if job_id is None and choice.generations:
            job_id = await self._job_of(state.collection_id, choice.generations)
        if job_id is None:
            job_id = await self._only_job(state)
        return await self._wait_until_finished(state, job_id)

    async def _wait_until_finished(self, state: Collection, job_id: UUID) -> FinishedJob:
        async def look() -> FinishedJob | None:
            rows = await self._rows(SELECT_JOB, state.collection_id, job_id)
            if not rows or rows[0][0] is None:
                return None
            gids = [gid for (gid,) in await self._rows(SELECT_FINISHED_GIDS, job_id)]
            return FinishedJob(job_id, gids) if len(gids) >= rows[0][0] else None

        job = await self._wait_for(look, UNKNOWN_SECONDS)
        if job is None:
            await self.refuse_while_behind()
            rows = await self._rows(SELECT_JOB, state.collection_id, job_id)
            job = await self._wait_for(look, WAIT_SECONDS if rows and rows[0][1] is None else 0)
        if job is not None:
            return job
        raise _refusal(_unfinished(rows[0][1]) if rows else NO_JOB, await self._jobs(state))

    async def _job_of(self, collection_id: UUID, generations: Sequence[UUID]) -> UUID:
        """The one job that made these artworks. `selected` refuses those that do not exist."""

        async def look() -> list[UUID] | None:
            rows = await self._rows(SELECT_JOBS_OF_GENERATIONS, collection_id, list(generations))
            return [job_id for (job_id,) in rows] or None

        jobs = await self._wait_for(look, UNKNOWN_SECONDS)
        if jobs is None:
            await self.refuse_while_behind()
            message = "has no id of a finished generation of this collection"
            raise invalid(f"The list of generations {message}", Detail("/generations", message))
        if len(jobs) > 1:
            message = "has generations of several jobs: a series is made of one job"
            raise invalid(f"The list {message}", Detail("/generations", message))
        return jobs[0]

    async def _only_job(self, state: Collection) -> UUID:
        await self.refuse_while_behind()

        async def look() -> list[JobOfCollection] | None:
            jobs = await self._jobs(state)
            return jobs if all(job.finished_at for job in jobs) else None

        jobs = await self._wait_for(look, WAIT_SECONDS)
        if jobs is None:
            jobs = await self._jobs(state)
        if len(jobs) == 1 and jobs[0].finished_at is not None:
            return jobs[0].job_id
        if not any(job.finished_at for job in jobs):
            raise _refusal(
                "a finished job is required, and this collection has none: generate the artworks first",
                jobs,
            )
        raise _refusal("is required: several jobs could be sold", jobs)

    async def _jobs(self, state: Collection) -> list[JobOfCollection]:
        rows, collection_id = MAX_CANDIDATES + 1, state.collection_id
        jobs = await self._rows(SELECT_JOBS, collection_id, state.user_id, rows, collection_id, rows)
        return [JobOfCollection(*job) for job in jobs]

    async def refuse_while_behind(self) -> None:
        """Raises UNAVAILABLE unless all events that generation has published by now have arrived."""
        if (behind := await self.history.first_behind({GENERATION}, WAIT_SECONDS)) is not None:
            raise not_yet_handled(behind)

    async def _wait_for(self, look: Callable[[], Awaitable[T | None]], seconds: float) -> T | None:
        """What `look` finds within these seconds, or None."""
        loop, marks = asyncio.get_running_loop(), self.store.watermarks
        until = loop.time() + seconds
        while True:
            position = marks.value(SERIES.watermark)
            if (result := await look()) is not None or loop.time() >= until:
                return result
            await marks.wait_beyond(SERIES.watermark, position, POLL_SECONDS)

    async def _rows(self, query: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.store.pool.rows(query, parameters)


def _judged(tokens: Sequence[Token]) -> tuple[list[Detail], DocumentRules]:
    """The faults of the tokens, and the rules by which their documents are written."""
    return bounded(list(token_faults(tokens))), document_rules(token.traits for token in tokens)


def _refusal(message: str, jobs: Sequence[JobOfCollection]) -> Problem:
    """VALIDATION_FAILED at `/job_id`; the details after the first one are the candidates."""
    candidates = [Detail("/job_id", _sentence(job)) for job in jobs[:MAX_CANDIDATES]]
    if len(jobs) > MAX_CANDIDATES:
        candidates.append(Detail("/job_id", "and more jobs"))
    return invalid(f"The series is not chosen: {message}", Detail("/job_id", message), *candidates)


def _unfinished(outcome: str | None) -> str:
    """Why a job can't be sold, by how it ended; None: it still runs."""
    if outcome is None:
        return "has not finished with an artwork; if it ended a moment ago, try again"
    return f"has ended without a finished series ({outcome}): resume it if that is possible, or name another job"


def _sentence(job: JobOfCollection) -> str:
    if job.finished_at is None:
        return f"the required job may be {job.job_id}, which is running"
    at = job.finished_at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return f"the required job may be {job.job_id}, finished at {at} with {_artworks(job.artworks)}"


def _artworks(count: int | None) -> str:
    return "1 artwork" if count == 1 else f"{count} artworks"
