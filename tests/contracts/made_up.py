"""Small contracts for tests of the checks."""

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from shared.contracts.event import Event
from tests.contracts.catalogue import Contract
from tests.contracts.schemas import Recorded, describe


class ThingEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "thing"


def struct(name: str, *fields: tuple[Any, ...], **options: Any) -> type[msgspec.Struct]:
    """A struct within an event. A field is (name, type) or (name, type, default)."""
    return msgspec.defstruct(name, fields, frozen=True, **options)


def event(
    *fields: tuple[Any, ...],
    tag: str = "thing_done.v1",
    name: str = "ThingDone",
    base: type[Event] = ThingEvent,
    **options: Any,
) -> Contract:
    event_type = msgspec.defstruct(name, fields, bases=(base,), frozen=True, tag=tag, **options)
    return Contract("things", tag, event_type)


def described(contracts: Iterable[Contract]) -> Recorded:
    return {contract.name: describe(contract) for contract in contracts}
