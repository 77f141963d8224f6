"""What a read table is: its rows, and how an event changes one of them. Pure; the projector does the rest."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from shared.contracts.event import Event, event_type
from shared.eventstore import RecordedEvent

R = TypeVar("R", bound=msgspec.Struct)
Key = tuple[Any, ...]


@dataclass(frozen=True)
class Projection(Generic[R]):
    """A read table.

    `keys(event)` names the rows that an event touches; `project(row, event)` gives such a row afterwards, None for no
    row. `row`'s fields are the table's columns: plain values, and lists, dicts or Structs for `jsonb`. `ddl` creates
    `{table}` with a primary key over `key`; its indexes are named `{table}_…`. Raise `version` when rows would come out
    differently: the table is then rebuilt at the next start.
    """

    name: str
    version: int
    row: type[R]
    key: tuple[str, ...]
    ddl: str
    events: tuple[type[Event], ...]
    keys: Callable[[RecordedEvent], Iterable[Key]]
    project: Callable[[R | None, RecordedEvent], R | None]
    append_only: bool = False
    """Each event only adds rows with keys of its own (a history), so none is read before."""

    @cached_property
    def types(self) -> frozenset[str]:
        return frozenset(event_type(event) for event in self.events)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return self.row.__struct_fields__


Rows = dict[Key, Any]
"""Rows by key; None where there is none."""


def fold_batch(projection: Projection[R], events: list[tuple[RecordedEvent, tuple[Key, ...]]], rows: Rows) -> Rows:
    """Applies events in order to the rows they touch; returns those that are different afterwards."""
    changed: Rows = {}
    for event, keys in events:
        for key in keys:
            before = changed[key] if key in changed else rows.get(key)
            after = projection.project(before, event)
            if after is not before:
                changed[key] = after
    return changed
