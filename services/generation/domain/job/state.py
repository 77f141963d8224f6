"""A job's state, folded from its events."""

from itertools import count
from typing import Literal
from uuid import UUID

import msgspec

from shared.contracts.event import Event
from shared.contracts.generation import (
    JobAuthorized,
    JobCancelled,
    JobCompleted,
    JobDisowned,
    JobExpired,
    JobFailed,
    JobGenerationCompleted,
    JobGenerationFailed,
    JobGenerationsListed,
    JobHoldConfirmed,
    JobPartiallyCompleted,
    JobPaused,
    JobRejected,
    JobRequested,
    JobResumed,
    JobResumeRejected,
    JobStopRequested,
    JobUnpaused,
    ResumedGenerations,
    hold_id,
)
from shared.persistent import Map

Status = Literal[
    "",
    "disowned",
    "pending",
    "processing",
    "completed",
    "partially_completed",
    "failed",
    "rejected",
    "cancelled",
    "expired",
]
OPEN: frozenset[Status] = frozenset({"pending", "processing"})
RESUMABLE: frozenset[Status] = frozenset({"partially_completed", "failed", "cancelled", "expired"})

OVER_LIMIT = "SPEND_LIMIT_REACHED"
"""The code of a rejection because of a spend limit."""

OUTCOMES: dict[type[Event], Status] = {
    JobCompleted: "completed",
    JobPartiallyCompleted: "partially_completed",
    JobFailed: "failed",
    JobCancelled: "cancelled",
    JobExpired: "expired",
}
"""The status after each event that ends a round of a job."""


class Job(msgspec.Struct, frozen=True):
    """Status "": not requested; "disowned": credits placed a hold for it, but there is no such job.

    `quoted`, `held` and `captured` are those of the current round. `places`: the number in the request of each
    generation that has not ended; `unfinished`: of each that failed or was cancelled, and is not open again. The maps
    are persistent, because a job of 10,000 generations has 10,000 states.
    """

    job_id: UUID | None = None
    user_id: UUID | None = None
    status: Status = ""
    round: int = 0
    quoted: int = 0
    held: int = 0
    captured: int = 0
    total: int = 0
    places: Map[UUID, int] = Map()
    unfinished: Map[UUID, int] = Map()
    error: str = ""
    rejection: str = ""
    """The code of the rejection, if `status` is rejected or `declined` is set."""
    stopping: Literal["", "cancelled", "expired"] = ""
    """How the job ends as soon as its open generations are cancelled; no more of them start."""
    stop_reason: str = ""
    cancelled: int = 0
    """Of the round that ended last: how many generations were cancelled."""
    before_resume: Status = ""
    resumed: list[ResumedGenerations] = []
    """What runs again in this round, until it ends."""
    resumed_from: str = ""
    """Of this round, if it is a resume: as in its event."""
    resumed_count: int = 0
    """How many generations run again in this round, or ran."""
    declined: bool = False
    """Whether the hold of the last resume was declined."""
    disowned: frozenset[UUID] = frozenset()
    """Holds of rounds that were lost in a restore of the database. No later round uses their ids."""
    is_paused: bool = False
    payer_id: UUID | None = None
    """Whose credits its holds are of; None: its user's."""
    preview_of: UUID | None = None
    """The collection that it is a visitor's preview of."""

    @property
    def account_id(self) -> UUID | None:
        """The account that its holds are of."""
        return self.payer_id or self.user_id

    @property
    def open(self) -> int:
        """How many generations have not ended."""
        return len(self.places)

    @property
    def ended(self) -> int:
        """How many generations have completed, failed, or been cancelled."""
        return self.total - self.open

    @property
    def completed(self) -> int:
        return self.ended - len(self.unfinished)

    @property
    def released(self) -> int:
        """Micro-credits of the current round's hold that were given back."""
        return 0 if self.status in OPEN else self.held - self.captured

    @property
    def next_round(self) -> int:
        assert self.job_id is not None, "a job that is resumed was requested"
        return next(n for n in count(self.round + 1) if hold_id(self.job_id, n) not in self.disowned)

    def has_had(self, hold: UUID) -> bool:
        """Whether it is the hold of this round or an earlier one."""
        job_id = self.job_id
        return job_id is not None and any(hold == hold_id(job_id, n) for n in range(self.round + 1))

    def is_open(self, gid: UUID) -> bool:
        return gid in self.places


def evolve(state: Job, event: Event) -> Job:  # noqa: C901, PLR0912 - a case for each event
    replace = msgspec.structs.replace
    match event:
        case JobDisowned():
            if not state.status:
                state = replace(state, status="disowned")
            elif event.hold_id is not None:
                state = replace(state, disowned=state.disowned | {event.hold_id})
        case JobRequested():
            state = Job(
                job_id=event.job_id,
                user_id=event.user_id,
                status="pending",
                quoted=event.quoted,
                total=event.count,
                places=Map(zip(event.gids(), count(), strict=False)),
                payer_id=event.payer_id,
                preview_of=event.collection_id if event.is_preview else None,
            )
        case JobGenerationsListed() | JobHoldConfirmed():
            pass  # all gids follow from the request; an answer to credits
        case JobAuthorized():
            state = replace(state, status="processing", held=event.held)
        case JobRejected():
            state = replace(state, status="rejected", error=event.reason, rejection=event.code)
        case JobGenerationCompleted():
            state = replace(state, places=state.places.delete(event.gid), captured=state.captured + event.cost)
        case JobGenerationFailed():
            unfinished = state.unfinished.set(event.gid, state.places[event.gid])
            places = state.places.delete(event.gid)
            state = replace(state, places=places, unfinished=unfinished, error=state.error or event.error)
        case JobCompleted() | JobPartiallyCompleted() | JobFailed():
            state = replace(state, status=OUTCOMES[type(event)], stopping="", resumed=[])
        case JobStopRequested():
            state = replace(state, stopping=event.outcome, stop_reason=event.reason)
        case JobCancelled() | JobExpired():
            state = _stopped(state, event)
        case JobResumed():
            state = _resumed(state, event)
        case JobResumeRejected():
            state = _declined(state, event)
        case JobPaused() | JobUnpaused():
            state = replace(state, is_paused=isinstance(event, JobPaused))
        case _:
            raise AssertionError(f"{event!r} is not an event of a job")
    return state


def _stopped(state: Job, event: JobCancelled | JobExpired) -> Job:
    return msgspec.structs.replace(
        state,
        status=OUTCOMES[type(event)],
        stopping="",
        places=Map(),
        unfinished=state.unfinished.update(state.places),
        captured=event.captured,
        cancelled=event.cancelled,
        resumed=[],
    )


def _resumed(state: Job, event: JobResumed) -> Job:
    places = {gid: state.unfinished[gid] for gid in event.gids()}
    return msgspec.structs.replace(
        state,
        status="pending",
        round=event.round,
        quoted=event.quoted,
        held=0,
        captured=0,
        places=Map(places),
        unfinished=Map({gid: place for gid, place in state.unfinished.items() if gid not in places}),
        error="",
        rejection="",
        cancelled=0,
        declined=False,
        before_resume=state.status,
        resumed=event.generations,
        resumed_from=event.resumed_from,
        resumed_count=len(places),
        is_paused=False,
    )


def _declined(state: Job, event: JobResumeRejected) -> Job:
    return msgspec.structs.replace(
        state,
        status=state.before_resume,
        places=Map(),
        unfinished=state.unfinished.update(state.places),
        quoted=0,
        error=event.reason,
        rejection=event.code,
        resumed=[],
        declined=True,
    )
