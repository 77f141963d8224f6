"""`job_authorized`, and the end of a generation → the next generations to start, as they were planned and quoted.

Which ones start next is decided by `domain/fair_shares.py`.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from uuid import UUID

from services.generation.domain.fair_shares import OpenJob
from services.generation.domain.generation import Start
from services.generation.domain.payload.draws import draw
from services.generation.domain.planning.steps import StepOwner, plan_steps
from services.generation.job_specifications import JobSpecification
from shared.contracts.generation import JobAuthorized, JobGenerationCompleted, JobGenerationFailed
from shared.contracts.sizes import KIB, encoded_size

NAME = "start-generations-v2"
REPLACES = "start-generations-v1"
"""The process of earlier releases, which started all generations of a job at once. Its checkpoint is not moved: after a
downgrade, that process starts what is missing of all jobs that are not entirely started."""
EVENTS = (JobAuthorized, JobGenerationCompleted, JobGenerationFailed)
MAX_BATCH = 100
MAX_BATCH_BYTES = 4 * 1024 * KIB


def open_job(job_id: UUID, specification: JobSpecification, jobs: Iterable[OpenJob]) -> OpenJob:
    """An authorized job behind the jobs that its user has already. Its priority: the highest of its workflows."""
    user_id = specification.requested.user_id
    return OpenJob(
        job_id,
        user_id,
        specification.requested.count,
        priority=max((definition.priority for definition in specification.definitions.values()), default=0),
        served=max((job.served for job in jobs if job.user_id == user_id), default=0),
    )


def start_of(specification: JobSpecification, place: int) -> Start:
    """The start of the job's generation at a place, which counts from 0 in the order of the request."""
    requested, generation = specification.requested, specification.generations[place]
    generation_input = specification.generation_input
    values = draw(generation_input.variables, requested.variables, generation.hash)
    owner = StepOwner(requested.user_id, requested.job_id, generation.gid)
    return Start(
        gid=generation.gid,
        job_id=requested.job_id,
        user_id=requested.user_id,
        collection_id=requested.collection_id,
        hash=generation.hash,
        variables=values,
        steps=plan_steps(generation_input, specification.definitions, values, generation.hash, owner),
        cost=generation.cost,
        encryption_enabled=requested.encryption_enabled,
    )


def starts_of(
    chosen: Sequence[OpenJob], specifications: Mapping[UUID, JobSpecification], failed: dict[UUID, Exception]
) -> Iterator[Start]:
    """The starts of the chosen generations, in order.

    Skips jobs in `failed`, and adds to it those that can't be planned: other jobs must start whatever the error is.
    """
    for job in chosen:
        if job.job_id in failed:
            continue
        try:
            start = start_of(specifications[job.job_id], job.started - 1)
        except Exception as error:  # noqa: BLE001 - as said in the docstring
            failed[job.job_id] = error
        else:
            yield start


def next_batch(remaining: Iterator[Start]) -> list[Start]:
    """The starts that are recorded together: MAX_BATCH at most, until they exceed MAX_BATCH_BYTES."""
    batch: list[Start] = []
    size = 0
    while len(batch) < MAX_BATCH and size < MAX_BATCH_BYTES and (start := next(remaining, None)) is not None:
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
