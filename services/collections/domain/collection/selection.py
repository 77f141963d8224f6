"""Which artworks a collection sells: some or all of one finished job, in the order of their tokens.

A draft's owner may choose them beforehand; publishing chooses them for good.
"""

from collections.abc import Iterator, Sequence
from uuid import UUID

import msgspec

from services.collections.domain.collection.state import Collection, owned, refuse_archived
from shared.contracts.collections import ChosenSeries, SeriesChosen
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem, invalid

MAX_FAULTS = 20
"""Listed in one answer; the message of the last one counts the others."""


class Choice(msgspec.Struct, frozen=True):
    """What a request says about the series: a job, or its generations in the order of tokens, or both, or neither."""

    job_id: UUID | None = None
    generations: Sequence[UUID] | None = None

    @property
    def is_made(self) -> bool:
        return self.job_id is not None or self.generations is not None


class FinishedJob(msgspec.Struct, frozen=True):
    """`made`: the generations that have an artwork, in the job's order."""

    job_id: UUID
    made: Sequence[UUID]


class ChooseSeries(msgspec.Struct, frozen=True):
    user_id: UUID
    job: FinishedJob
    generations: Sequence[UUID] | None
    """None: all that the job has made."""


def decide(command: ChooseSeries, state: Collection) -> list[Event]:
    """Idempotent: no events if the state already matches.

    Raises VALIDATION_FAILED with a pointer for each generation that can't be sold, NOT_FOUND for a collection that is
    not the user's, CONFLICT for one that is archived, published, or scheduled to be.
    """
    collection_id = owned(state, command.user_id)
    refuse_archived(state)
    series = selected(command.job, command.generations)
    if state.series == series:
        return []
    if state.status == "published":
        raise Problem("CONFLICT", "The collection is published: what is sold no longer changes")
    if state.scheduled_for is not None:
        message = "A publication of other artworks is scheduled: call it off, or publish with another choice"
        raise Problem("CONFLICT", message)
    return [SeriesChosen(collection_id, series)]


def selected(job: FinishedJob, generations: Sequence[UUID] | None) -> ChosenSeries:
    """The job's artworks of these generations, in this order; all of them if None. Raises VALIDATION_FAILED."""
    if generations is None:
        return ChosenSeries(job.job_id, list(job.made))
    faults = list(_faults(job, generations))
    if faults:
        raise invalid(f"The series can't be chosen: {faults[0].message}", *bounded(faults))
    return ChosenSeries(job.job_id, list(generations))


def contradicts(choice: Choice, sold: ChosenSeries) -> bool:
    """Whether a request that names a series names another one than this."""
    if choice.job_id is not None and choice.job_id != sold.job_id:
        return True
    return choice.generations is not None and list(choice.generations) != sold.gids


def bounded(faults: Sequence[Detail]) -> list[Detail]:
    """At most MAX_FAULTS of them; the last one then counts the others."""
    if len(faults) <= MAX_FAULTS:
        return list(faults)
    last = faults[MAX_FAULTS - 1]
    return [*faults[: MAX_FAULTS - 1], Detail(last.pointer, f"{last.message}; and {len(faults) - MAX_FAULTS} more")]


def _faults(job: FinishedJob, generations: Sequence[UUID]) -> Iterator[Detail]:
    if not generations:
        yield Detail("/generations", "a series has at least one artwork")
    candidates, before = frozenset(job.made), set[UUID]()
    for index, gid in enumerate(generations):
        if gid not in candidates:
            yield Detail(f"/generations/{index}", f"{gid} is not a finished generation of job {job.job_id}")
        elif gid in before:
            yield Detail(f"/generations/{index}", f"{gid} appears twice: one artwork is one token")
        before.add(gid)
