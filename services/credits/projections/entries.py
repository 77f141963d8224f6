"""The ledger that users read: one row per movement of credits, with its cause: job and hold, or grant, and actor."""

from datetime import datetime
from uuid import UUID

import msgspec

from services.credits.projections.accounts import MOVEMENTS
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
  position    bigint primary key,
  user_id     uuid not null,
  kind        text not null,
  amount      bigint not null,
  change      bigint not null,
  job_id      uuid,
  hold_id     uuid,
  grant_id    uuid,
  reason      text,
  actor       text not null,
  recorded_at timestamptz not null
);
create index {table}_of_user on {table} (user_id, position desc) include (change);
create index {table}_of_job on {table} (job_id, position desc) where job_id is not null"""


class EntryRow(msgspec.Struct, frozen=True):
    """`amount` is what moved, `change` its effect on the available credits; both in micro-credits.

    `actor`: who or what issued the command, as in the event's metadata: `user:<uuid>`, or a consumer's name.
    """

    position: int
    user_id: UUID
    kind: str
    amount: int
    change: int
    job_id: UUID | None
    hold_id: UUID | None
    grant_id: UUID | None
    reason: str | None
    actor: str
    recorded_at: datetime


def keys(recorded: RecordedEvent) -> list[tuple[int]]:
    return [(recorded.position,)]


def project(_: EntryRow | None, recorded: RecordedEvent) -> EntryRow:
    event = recorded.event
    job_id: UUID | None = None
    hold_id: UUID | None = None
    grant_id: UUID | None = None
    reason: str | None = None
    match event:
        case CreditsGranted():
            kind, change, grant_id = "granted", event.amount, event.grant_id
            if event.job_id is not None:
                kind, job_id, reason = "refunded", event.job_id, event.reason
        case HoldPlaced():
            kind, change, job_id = "held", -event.amount, event.job_id
        case HoldCaptured():
            kind, change, job_id = "captured", 0, event.job_id
        case HoldReleased():
            kind, change, job_id = "released", event.amount, event.job_id
        case GrantExpired():
            kind, change, grant_id = "expired", -event.amount, event.grant_id
        case GrantReversed():
            kind, change, grant_id, reason = "reversed", -event.amount, event.grant_id, event.reason
        case _:
            raise AssertionError(f"{recorded.type} is not a ledger entry")
    if isinstance(event, HoldPlaced | HoldCaptured | HoldReleased):
        hold_id = event.hold_id or event.job_id
    return EntryRow(
        position=recorded.position,
        user_id=recorded.stream_id,
        kind=kind,
        amount=event.amount,
        change=change,
        job_id=job_id,
        hold_id=hold_id,
        grant_id=grant_id,
        reason=reason,
        actor=recorded.context.actor,
        recorded_at=recorded.recorded_at,
    )


ENTRIES = Projection(
    name="entries",
    version=2,
    row=EntryRow,
    key=("position",),
    ddl=DDL,
    events=MOVEMENTS,
    keys=keys,
    project=project,
    append_only=True,
)
