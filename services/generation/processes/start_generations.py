"""`job_authorized`, and the end of a generation → the next generations to start, as they were planned and quoted.

A job that was stopped, or is paused by an operator, starts none.

Which ones start next is decided by `domain/fair_shares.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from services.generation.domain.fair_shares import OpenJob
from services.generation.domain.generation import Start
from services.generation.domain.generation.resume import LAST_COMPLETED
from services.generation.domain.job import Job
from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.steps import StepOwner, plan_steps
from services.generation.queries.job_specification import JobSpecification
from shared.contracts.generation import (
    JobAuthorized,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobPaused,
    JobStopRequested,
    JobUnpaused,
)
from shared.contracts.sizes import KIB, encoded_size

NAME = "start-generations-v2"
REPLACES = "start-generations-v1"
"""The process of earlier releases, which started all generations of a job at once. Its checkpoint is not moved: after a
downgrade, that process starts what is missing of all jobs that are not entirely started."""
EVENTS = (JobAuthorized, JobGenerationCompleted, JobGenerationFailed, JobStopRequested, JobPaused, JobUnpaused)
MAX_BATCH = 100
SMALL_BATCH = 32
"""Generations of small collections, which are planned at once."""
MAX_BATCH_BYTES = 4 * 1024 * KIB


@dataclass(frozen=True)
class Run:
    """A generation that runs in a round. `keep`: the completed steps that are not repeated; `cost`: of the others.

    `resumed_from`: as in `job_resumed`.
    """

    place: int
    cost: int
    keep: list[int]
    resumed_from: str = LAST_COMPLETED


@dataclass(frozen=True)
class Round:
    """What runs in a round of a job, in the order in which it was requested. `runs` None: all that was requested."""

    specification: JobSpecification
    number: int = 0
    runs: Sequence[Run] | None = None

    @property
    def before(self) -> int:
        """How many generations of the job don't run in this round. They count as started and ended."""
        return 0 if self.runs is None else self.specification.requested.count - len(self.runs)

    def run(self, started: int) -> Run:
        """The run of the job's generation that starts as the `started`th."""
        if self.runs is None:
            return Run(started - 1, self.specification.generations[started - 1].cost, [])
        return self.runs[started - self.before - 1]


def runs_of(specification: JobSpecification, job: Job) -> Sequence[Run] | None:
    """What runs in the current round of a job; None in its first."""
    if not job.round:
        return None
    resumed = {gid: alike for alike in job.resumed for gid in alike.gids}
    return [
        Run(place, resumed[generation.gid].cost, resumed[generation.gid].keep, job.resumed_from)
        for place, generation in enumerate(specification.generations)
        if generation.gid in resumed
    ]


def open_job(job_id: UUID, round_: Round, jobs: Iterable[OpenJob]) -> OpenJob:
    """An authorized job behind the jobs that its payer has already. Its priority: the highest of its workflows.

    A visitor's preview starts after the payer's other jobs, and takes of the payer's share: an owner who pays for many
    visitors takes nothing of other users for it.
    """
    specification = round_.specification
    requested = specification.requested
    user_id = requested.payer_id or requested.user_id
    priorities = [0] if requested.is_preview else [workflow.priority for workflow in specification.definitions.values()]
    return OpenJob(
        job_id,
        user_id,
        requested.count,
        started=round_.before,
        ended=round_.before,
        priority=max(priorities, default=0),
        served=max((job.served for job in jobs if job.user_id == user_id), default=0),
    )


def start_of(round_: Round, run: Run) -> Start:
    """The start of a generation in a round. Its place counts from 0 in the order of the request."""
    specification = round_.specification
    requested, generation = specification.requested, specification.generations[run.place]
    generation_input = specification.generation_input
    values = draw(generation_input.variables, requested.variables, generation.hash)
    owner = StepOwner(requested.user_id, requested.job_id, generation.gid, specification.bucket)
    return Start(
        gid=generation.gid,
        job_id=requested.job_id,
        user_id=requested.user_id,
        collection_id=requested.collection_id,
        hash=generation.hash,
        variables=values,
        steps=plan_steps(generation_input, specification.definitions, values, generation.hash, owner, priced=True),
        cost=run.cost,
        encryption_enabled=requested.encryption_enabled,
        round=round_.number,
        keep=run.keep,
        resumed_from=run.resumed_from,
    )


def planned_costs(specification: JobSpecification, place: int) -> dict[int, int]:
    """Micro-credits of a generation's steps by component id, for one that an earlier release started without them."""
    start = start_of(Round(specification), Run(place, 0, []))
    return {step.component_id: step.cost or 0 for step in start.steps}


def starts_of(
    chosen: Sequence[OpenJob], rounds: Mapping[UUID, Round], failed: dict[UUID, Exception]
) -> Iterator[Start]:
    """The starts of the chosen generations, in order.

    Skips jobs in `failed`, and adds to it those that can't be planned: other jobs must start whatever the error is.
    """
    for job in chosen:
        if job.job_id in failed:
            continue
        try:
            round_ = rounds[job.job_id]
            start = start_of(round_, round_.run(job.started))
        except Exception as error:  # noqa: BLE001 - as said in the docstring
            failed[job.job_id] = error
        else:
            yield start


def next_batch(remaining: Iterator[Start], most: int = MAX_BATCH) -> list[Start]:
    """The starts that are recorded together: at most `most`, until they exceed MAX_BATCH_BYTES."""
    batch: list[Start] = []
    size = 0
    while len(batch) < most and size < MAX_BATCH_BYTES and (start := next(remaining, None)) is not None:
        batch.append(start)
        size += encoded_size(start)
    return batch


def started_counts(
    batch: Sequence[Start], results: Iterable[BaseException | None], failed: dict[UUID, Exception]
) -> Mapping[UUID, int]:
    """How many generations of each job started without a gap; after a failed one, the job's others are started again.

    Adds jobs with a failed start to `failed`. Raises a result that is not an Exception, such as a cancellation.
    """
    counts: defaultdict[UUID, int] = defaultdict(int)
    for start, result in zip(batch, results, strict=True):
        if isinstance(result, Exception):
            failed.setdefault(start.job_id, result)
        elif result is not None:
            raise result
        if start.job_id not in failed:
            counts[start.job_id] += 1
    return counts
