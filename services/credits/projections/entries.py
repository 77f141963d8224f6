"""The ledger that users read: one row per movement of credits, with its job or grant."""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.credits import CreditsGranted, GrantExpired, HoldCaptured, HoldPlaced, HoldReleased
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  position    bigint primary key,
  user_id     uuid not null,
  kind        text not null,
  amount      bigint not null,
  change      bigint not null,
  job_id      uuid,
  grant_id    uuid,
  recorded_at timestamptz not null
);
create index {table}_of_user on {table} (user_id, position desc) include (change)"""


class EntryRow(msgspec.Struct, frozen=True):
    """`amount` is what moved, `change` its effect on the available credits; both in micro-credits."""

    position: int
    user_id: UUID
    kind: str
    amount: int
    change: int
    job_id: UUID | None
    grant_id: UUID | None
    recorded_at: datetime


def keys(recorded: RecordedEvent) -> list[tuple[int]]:
    return [(recorded.position,)]


def project(_: EntryRow | None, recorded: RecordedEvent) -> EntryRow:
    event = recorded.event
    job_id: UUID | None = None
    grant_id: UUID | None = None
    match event:
        case CreditsGranted():
            kind, change, grant_id = "granted", event.amount, event.grant_id
        case HoldPlaced():
            kind, change, job_id = "held", -event.amount, event.job_id
        case HoldCaptured():
            kind, change, job_id = "captured", 0, event.job_id
        case HoldReleased():
            kind, change, job_id = "released", event.amount, event.job_id
        case GrantExpired():
            kind, change, grant_id = "expired", -event.amount, event.grant_id
        case _:
            raise AssertionError(f"{recorded.type} is not a ledger entry")
    return EntryRow(
        position=recorded.position,
        user_id=recorded.stream_id,
        kind=kind,
        amount=event.amount,
        change=change,
        job_id=job_id,
        grant_id=grant_id,
        recorded_at=recorded.recorded_at,
    )


ENTRIES = Projection(
    name="entries",
    version=1,
    row=EntryRow,
    key=("position",),
    ddl=DDL,
    events=(CreditsGranted, HoldPlaced, HoldCaptured, HoldReleased, GrantExpired),
    keys=keys,
    project=project,
    append_only=True,
)
