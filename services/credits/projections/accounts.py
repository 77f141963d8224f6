"""One row per user: the sums of where all credits ever granted are."""

from uuid import UUID

import msgspec

from shared.contracts.credits import CreditsGranted, GrantExpired, HoldCaptured, HoldPlaced, HoldReleased
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  user_id   uuid primary key,
  available bigint not null,
  held      bigint not null,
  spent     bigint not null,
  expired   bigint not null,
  version   bigint not null
)"""


class AccountRow(msgspec.Struct, frozen=True):
    """Micro-credits. `available` still counts what expired since the account last changed: see `queries.balance`."""

    user_id: UUID
    available: int = 0
    held: int = 0
    spent: int = 0
    expired: int = 0
    version: int = 0


Movement = CreditsGranted | HoldPlaced | HoldCaptured | HoldReleased | GrantExpired


def movements(event: Movement, amount: int) -> dict[str, int]:
    """How an event that moves `amount` changes the four sums."""
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
    version=1,
    row=AccountRow,
    key=("user_id",),
    ddl=DDL,
    events=(CreditsGranted, HoldPlaced, HoldCaptured, HoldReleased, GrantExpired),
    keys=keys,
    project=project,
)
