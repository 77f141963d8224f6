"""A job's state, folded from its events."""

from itertools import count
from typing import Literal
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import (
    JobAuthorized,
    JobCompleted,
    JobDisowned,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobGenerationsListed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
)
from shared.persistent import Map

Status = Literal["", "disowned", "pending", "processing", "completed", "partially_completed", "failed", "rejected"]

OUTCOMES: dict[type[Event], Status] = {
    JobCompleted: "completed",
    JobPartiallyCompleted: "partially_completed",
    JobFailed: "failed",
}
"""The status after each event that ends an authorized job."""


class Job(msgspec.Struct, frozen=True):
    """Status "": not requested; "disowned": credits placed a hold for it, but there is no such job.

    `places`: the number in the request of each generation that has not ended. The map is persistent, because a job of
    10,000 generations has 10,000 states.
    """

    job_id: UUID | None = None
    user_id: UUID | None = None
    status: Status = ""
    quoted: int = 0
    captured: int = 0
    total: int = 0
    failed: int = 0
    places: Map[UUID, int] = Map()
    error: str = ""

    @property
    def open(self) -> int:
        """How many generations have not ended."""
        return len(self.places)

    @property
    def ended(self) -> int:
        """How many generations have completed or failed."""
        return self.total - self.open

    def is_open(self, gid: UUID) -> bool:
        return gid in self.places


def evolve(state: Job, event: Event) -> Job:
    replace = msgspec.structs.replace
    match event:
        case JobDisowned():
            state = state if state.status else replace(state, status="disowned")
        case JobRequested():
            state = Job(
                job_id=event.job_id,
                user_id=event.user_id,
                status="pending",
                quoted=event.quoted,
                total=event.count,
                places=Map(zip(event.gids(), count(), strict=False)),
            )
        case JobGenerationsListed():
            pass  # all gids follow from the request
        case JobAuthorized():
            state = replace(state, status="processing")
        case JobRejected():
            state = replace(state, status="rejected", error=event.reason)
        case JobGenerationCompleted():
            state = replace(state, places=state.places.delete(event.gid), captured=state.captured + event.cost)
        case JobGenerationFailed():
            places = state.places.delete(event.gid)
            state = replace(state, places=places, failed=state.failed + 1, error=state.error or event.error)
        case JobCompleted() | JobPartiallyCompleted() | JobFailed():
            state = replace(state, status=OUTCOMES[type(event)])
        case _:
            raise AssertionError(f"{event!r} is not an event of a job")
    return state
