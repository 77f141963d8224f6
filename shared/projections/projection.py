"""Projections: the rows of a read table, and how an event changes them. Pure code; the projector reads and writes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

import msgspec

from shared.contracts.event import Event, event_type
from shared.eventstore import RecordedEvent

R = TypeVar("R", bound=msgspec.Struct)
Key = tuple[Any, ...]
"""The values of a row's key columns."""

WANTED_WATERMARK = "read_tables_wanted"
"""The watermark of the highest position that a reader waits for; the projector may rest while none waits."""


def watermark(table: str) -> str:
    """The name of the watermark of a table's position."""
    return f"read_table:{table}"


def rebuild_name(table: str) -> str:
    """The name of the table that is rebuilt beside the live one."""
    return f"{table}__rebuild"


@dataclass(frozen=True)
class Projection(Generic[R]):
    """The definition of a read table.

    `keys(event)` returns the keys of the rows that an event changes; `project(row, event)` returns such a row after the
    event, or None to delete it. The fields of `row` are the table's columns: plain values, and lists, dicts or Structs
    for `json`, which preserves every byte (`jsonb` changes numbers, so it is rejected). `ddl` creates `{table}` with a
    primary key over `key`; its indexes are named `{table}_…`. Increment `version` when columns change, or when
    `project` returns other rows: the new table is built beside the old one, which the previous release still projects
    and reads.
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
    """Each event only inserts rows, with keys that no other event has (a history), so no rows are read."""
    adds: Callable[[RecordedEvent], Mapping[Key, R]] | None = None
    """The rows by key for an event that inserts several different ones, one for each of its keys. Empty for the events
    that `project` folds."""

    @cached_property
    def table(self) -> str:
        """The table's name in the database, which includes the version; queries use this name."""
        return f"{self.name}_v{self.version}"

    @cached_property
    def watermark(self) -> str:
        """The name of the watermark of the table's position."""
        return watermark(self.table)

    @cached_property
    def types(self) -> frozenset[str]:
        """Newest tags of the events that change rows."""
        return frozenset(event_type(event) for event in self.events)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The fields of `row`."""
        return self.row.__struct_fields__


Rows = dict[Key, Any]
"""Rows by key; None for a deleted row."""
KeyedEvent = tuple[RecordedEvent, tuple[Key, ...]]
"""An event with the keys of the rows that it changes."""


def fold_batch(projection: Projection[R], events: Sequence[KeyedEvent], rows: Rows) -> Rows:
    """Applies events in order to `rows`, those that they change; returns the changed rows."""
    changed: Rows = {}
    for event, keys in events:
        if projection.adds is not None and (new_rows := projection.adds(event)):
            changed.update(new_rows)
            continue
        for key in keys:
            before = changed[key] if key in changed else rows.get(key)
            after = projection.project(before, event)
            if after is not before:
                changed[key] = after
    return changed
