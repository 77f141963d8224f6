"""A small aggregate of the `eventsourcing` library's, and how a service of ours reads its events."""

from decimal import Decimal
from uuid import UUID

from eventsourcing.domain import Aggregate, event
from eventsourcing.persistence import StoredEvent

from shared.contracts.event import Event
from shared.eventstore import Codec
from tests.integration.eventstore.tally import Counted


class Account(Aggregate):
    """As the library's users write one."""

    @event("Opened")
    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.balance = Decimal(0)

    @event("Deposited")
    def deposit(self, amount: Decimal) -> None:
        self.balance += amount


class Opened(Event, frozen=True, tag=f"{__name__}:Account.Opened"):
    """How a service of ours would read the library's event: its topic is the type, its state the data."""

    owner: str


class Deposited(Event, frozen=True, tag=f"{__name__}:Account.Deposited"):
    amount: dict[str, str]


LIBRARY = Codec([Opened, Deposited, Counted])


def stored(stream: UUID, version: int, *, topic: str = "topic") -> StoredEvent:
    return StoredEvent(stream, version, topic, b"{}")
