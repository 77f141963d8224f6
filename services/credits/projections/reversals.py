"""One row per reversal of a grant, whatever it took back: what was requested, and what was not available."""

from datetime import datetime
from uuid import UUID

import msgspec

from shared.contracts.credits import GrantReversed
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  reversal_id uuid primary key,
  grant_id    uuid not null,
  user_id     uuid not null,
  amount      bigint not null,
  missing     bigint not null,
  requested   bigint,
  reason      text not null,
  external_id text not null,
  recorded_at timestamptz not null
)"""


class ReversalRow(msgspec.Struct, frozen=True):
    """Micro-credits. `requested` None: all that was left of the grant."""

    reversal_id: UUID
    grant_id: UUID
    user_id: UUID
    amount: int
    missing: int
    requested: int | None
    reason: str
    external_id: str
    recorded_at: datetime


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    assert isinstance(recorded.event, GrantReversed)
    return [(recorded.event.reversal_id,)]


def project(_: ReversalRow | None, recorded: RecordedEvent) -> ReversalRow:
    event = recorded.event
    assert isinstance(event, GrantReversed)
    return ReversalRow(
        reversal_id=event.reversal_id,
        grant_id=event.grant_id,
        user_id=event.user_id,
        amount=event.amount,
        missing=event.missing,
        requested=event.requested,
        reason=event.reason,
        external_id=event.external_id,
        recorded_at=recorded.recorded_at,
    )


REVERSALS = Projection(
    name="reversals",
    version=1,
    row=ReversalRow,
    key=("reversal_id",),
    ddl=DDL,
    events=(GrantReversed,),
    keys=keys,
    project=project,
    append_only=True,
)
