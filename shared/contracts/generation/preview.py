"""Events of a visitor's allowance: how many generations of another user's collection a visitor has made or requested.

One stream per collection and visitor, so that the limit holds however many requests come at once. A reservation is
recorded in the same append as the request or the resume that it is for.
"""

from typing import ClassVar
from uuid import UUID, uuid5

from shared.contracts.event import Event


class PreviewAllowanceEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "preview_allowance"


def allowance_id(collection_id: UUID, visitor_id: UUID) -> UUID:
    """The stream of a visitor's allowance."""
    return uuid5(collection_id, str(visitor_id))


class PreviewReserved(PreviewAllowanceEvent, frozen=True, tag="preview_reserved.v1"):
    """A visitor requested or resumed a job, which has `generations` of the allowance until this round ends."""

    collection_id: UUID
    visitor_id: UUID
    job_id: UUID
    round: int
    generations: int
    """Of the job: those that have completed, and those that run in this round."""


class PreviewSettled(PreviewAllowanceEvent, frozen=True, tag="preview_settled.v1"):
    """A round of a visitor's job has ended: only the job's `completed` generations count from now on."""

    collection_id: UUID
    visitor_id: UUID
    job_id: UUID
    round: int
    completed: int
    """In all rounds."""
