"""One row per hold, of which each round of a job has one: the amount asked for, and what became of it."""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.credits import HoldCaptured, HoldDeclined, HoldExtended, HoldPlaced, HoldQuestioned, HoldReleased
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  hold_id     uuid primary key,
  job_id      uuid not null,
  user_id     uuid not null,
  status      text not null,
  amount      bigint not null,
  captured    bigint not null,
  released    bigint not null,
  placed_at   timestamptz not null,
  resolved_at timestamptz,
  deadline    timestamptz,
  asked_at    timestamptz
);
create index {table}_of_job on {table} (job_id);
create index {table}_open on {table} (placed_at) where status = 'held'"""


class HoldRow(msgspec.Struct, frozen=True):
    """`status`: held, captured (the rest, if any, released), released (all of it) or declined. Micro-credits.

    `deadline`: when generation is asked (again) whether the job is open; None for those that an early release placed.
    `asked_at`: when it was asked, until it answers.
    """

    hold_id: UUID
    job_id: UUID
    user_id: UUID
    status: str
    amount: int
    captured: int
    released: int
    placed_at: datetime
    resolved_at: datetime | None
    deadline: datetime | None = None
    asked_at: datetime | None = None


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    event = recorded.event
    assert isinstance(event, HoldPlaced | HoldDeclined | HoldCaptured | HoldReleased | HoldQuestioned | HoldExtended)
    return [(event.hold_id or event.job_id,)]


def project(row: HoldRow | None, recorded: RecordedEvent) -> HoldRow:
    event, at = recorded.event, recorded.recorded_at
    (key,) = keys(recorded)
    match event:
        case HoldPlaced():
            deadline = None if event.deadline is None else datetime.fromisoformat(event.deadline)
            return HoldRow(*key, event.job_id, event.user_id, "held", event.amount, 0, 0, at, None, deadline)
        case HoldDeclined():
            return HoldRow(*key, event.job_id, event.user_id, "declined", event.amount, 0, 0, at, at)
    assert row is not None, f"{recorded.type} at {recorded.position} comes before its hold"
    match event:
        case HoldQuestioned(ask_again_at=time):
            asked_at = row.asked_at or at
            return msgspec.structs.replace(row, deadline=datetime.fromisoformat(time), asked_at=asked_at)
        case HoldExtended(deadline=time):
            return msgspec.structs.replace(row, deadline=datetime.fromisoformat(time), asked_at=None)
        case HoldCaptured():
            return msgspec.structs.replace(row, status="captured", captured=event.amount, resolved_at=at)
        case HoldReleased():
            status = "captured" if row.captured else "released"
            return msgspec.structs.replace(row, status=status, released=event.amount, resolved_at=at)
        case _:
            raise AssertionError(f"{recorded.type} does not change a hold")


HOLDS = Projection(
    name="holds",
    version=3,
    row=HoldRow,
    key=("hold_id",),
    ddl=DDL,
    events=(HoldPlaced, HoldDeclined, HoldCaptured, HoldReleased, HoldQuestioned, HoldExtended),
    keys=keys,
    project=project,
)
