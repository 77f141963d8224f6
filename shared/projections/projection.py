"""What a read table is: its rows, and how an event changes a row. Pure code; the projector reads and writes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from shared.contracts.event import Event, event_type
from shared.eventstore import RecordedEvent

R = TypeVar("R", bound=msgspec.Struct)
Key = tuple[Any, ...]


WANTED_WATERMARK = "read_tables_wanted"
"""The watermark of the position that somebody waits for: who moves the tables need not hurry otherwise."""


def watermark(table: str) -> str:
    return f"read_table:{table}"


def rebuild_name(table: str) -> str:
    """What a table is called while it is built anew beside the live one."""
    return f"{table}__rebuild"


@dataclass(frozen=True)
class Projection(Generic[R]):
    """A read table.

    `keys(event)` gives the keys of the rows that an event changes; `project(row, event)` gives such a row after the
    event, or None to delete it. `row`'s fields are the table's columns: plain values, and lists, dicts or Structs for
    `json`, which keeps every byte (`jsonb` changes numbers, so it is refused). `ddl` creates `{table}` with a primary
    key over `key`; its indexes are named `{table}_…`. Raise `version` when columns change, or when `project` gives
    other rows: the new table is built beside the old one, which the previous release goes on to project and to read.
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
    """Each event only adds rows, with keys of its own (a history), so no rows are read."""
    adds: Callable[[RecordedEvent], Mapping[Key, R]] | None = None
    """The rows that an event adds itself, where it adds several that differ: one for each of its keys. Empty for the
    other events, which `project` folds."""

    @cached_property
    def table(self) -> str:
        """The table's name in the database, with its version; queries use this name."""
        return f"{self.name}_v{self.version}"

    @cached_property
    def watermark(self) -> str:
        """The name of the watermark of the table's position."""
        return watermark(self.table)

    @cached_property
    def types(self) -> frozenset[str]:
        return frozenset(event_type(event) for event in self.events)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        return self.row.__struct_fields__


Rows = dict[Key, Any]
"""Rows by key; None where there is none."""
Touched = tuple[RecordedEvent, tuple[Key, ...]]
"""An event with the keys of the rows that it touches."""


def fold_batch(projection: Projection[R], events: Sequence[Touched], rows: Rows) -> Rows:
    """Applies events in order to the rows that they change; returns the changed rows."""
    changed: Rows = {}
    for event, keys in events:
        if projection.adds is not None and (added := projection.adds(event)):
            changed.update(added)
            continue
        for key in keys:
            before = changed[key] if key in changed else rows.get(key)
            after = projection.project(before, event)
            if after is not before:
                changed[key] = after
    return changed
