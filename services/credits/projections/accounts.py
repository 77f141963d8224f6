"""One row per user: sums of available, held, spent, expired and reversed credits."""

from uuid import UUID

import msgspec

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
  user_id   uuid primary key,
  available bigint not null,
  held      bigint not null,
  spent     bigint not null,
  expired   bigint not null,
  reversed  bigint not null,
  version   bigint not null
)"""


class AccountRow(msgspec.Struct, frozen=True):
    """Micro-credits. `available` includes grants that expired since the account's last event: see `queries.balance`."""

    user_id: UUID
    available: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0
    reversed: int = 0
    version: int = 0


Movement = CreditsGranted | HoldPlaced | HoldCaptured | HoldReleased | GrantExpired | GrantReversed
MOVEMENTS: tuple[type[Movement], ...] = (
    CreditsGranted,
    HoldPlaced,
    HoldCaptured,
    HoldReleased,
    GrantExpired,
    GrantReversed,
)


def movements(event: Movement, amount: int) -> dict[str, int]:
    """The changes of the sums by an event that moves `amount`."""
    match event:
        case CreditsGranted():
            return {"available": amount}
        case HoldPlaced():
            return {"available": -amount, "held": amount}
        case HoldCaptured():
            return {"held": -amount, "spent": amount}
        case HoldReleased():
            return {"held": -amount, "available": amount}
        case GrantExpired():
            return {"available": -amount, "expired": amount}
        case GrantReversed():
            return {"available": -amount, "reversed": amount}


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    return [(recorded.stream_id,)]


def project(row: AccountRow | None, recorded: RecordedEvent) -> AccountRow:
    row = row or AccountRow(recorded.stream_id)
    event = recorded.event
    assert isinstance(event, Movement)
    changed = {column: getattr(row, column) + change for column, change in movements(event, event.amount).items()}
    return msgspec.structs.replace(row, **changed, version=recorded.version)


ACCOUNTS = Projection(
    name="accounts",
    version=2,
    row=AccountRow,
    key=("user_id",),
    ddl=DDL,
    events=MOVEMENTS,
    keys=keys,
    project=project,
)
