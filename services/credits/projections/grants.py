"""One row per grant: its user, terms, and how much is available, held, spent, expired and reversed."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.credits.projections.accounts import MOVEMENTS, movements
from shared.contracts.credits import (
    CreditsGranted,
    GrantExpired,
    GrantReversed,
    HoldCaptured,
    HoldPlaced,
    HoldReleased,
)
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  grant_id    uuid primary key,
  user_id     uuid not null,
  amount      bigint not null,
  available   bigint not null,
  held        bigint not null,
  spent       bigint not null,
  expired     bigint not null,
  reversed    bigint not null,
  source      text not null,
  priority    integer not null,
  expires_at  timestamptz,
  external_id text,
  job_id      uuid,
  reason      text,
  granted_at  timestamptz not null
);
create index {table}_expiring on {table} (user_id, expires_at) where available > 0 and expires_at is not null;
create index {table}_of_job on {table} (job_id) where job_id is not null"""


class GrantRow(msgspec.Struct, frozen=True):
    """`amount == available + held + spent + expired + reversed`, in micro-credits. `job_id`, `reason`: of a refund."""

    grant_id: UUID
    user_id: UUID
    amount: int
    available: int
    held: int
    spent: int
    expired: int
    reversed: int
    source: str
    priority: int
    expires_at: datetime | None
    external_id: str | None
    job_id: UUID | None
    reason: str | None
    granted_at: datetime


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    match recorded.event:
        case CreditsGranted() | GrantExpired() | GrantReversed() as event:
            return [(event.grant_id,)]
        case HoldPlaced() | HoldCaptured() | HoldReleased() as event:
            return [(allocation.grant_id,) for allocation in event.allocations]
        case _:
            raise AssertionError(f"{recorded.type} does not change a grant")


def project(row: GrantRow | None, recorded: RecordedEvent) -> GrantRow:
    event = recorded.event
    if isinstance(event, CreditsGranted):
        return GrantRow(
            grant_id=event.grant_id,
            user_id=event.user_id,
            amount=event.amount,
            available=event.amount,
            held=0,
            spent=0,
            expired=0,
            reversed=0,
            source=event.source,
            priority=event.priority,
            expires_at=None if event.expires_at is None else datetime.fromisoformat(event.expires_at),
            external_id=event.external_id,
            job_id=event.job_id,
            reason=event.reason,
            granted_at=recorded.recorded_at,
        )
    assert row is not None, f"{recorded.type} at {recorded.position} comes before its grant"
    assert isinstance(event, HoldPlaced | HoldCaptured | HoldReleased | GrantExpired | GrantReversed)
    amount = event.amount if isinstance(event, GrantExpired | GrantReversed) else _part_of(event, row.grant_id)
    changed = {column: getattr(row, column) + change for column, change in movements(event, amount).items()}
    return msgspec.structs.replace(row, **changed)


def _part_of(event: HoldPlaced | HoldCaptured | HoldReleased, grant_id: UUID) -> int:
    return next(allocation.amount for allocation in event.allocations if allocation.grant_id == grant_id)


GRANTS = Projection(
    name="grants",
    version=2,
    row=GrantRow,
    key=("grant_id",),
    ddl=DDL,
    events=MOVEMENTS,
    keys=keys,
    project=project,
)
