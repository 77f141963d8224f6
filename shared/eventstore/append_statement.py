"""The statement that appends a batch: its arguments, made of the appends, and their results, made of its rows."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from shared.eventstore.arrays import BinaryArray, byteas, int4s, int8s, texts, uuids
from shared.eventstore.records import Appended

APPEND_LOCK = 0x656D70726F7073
"""The advisory lock of appends ("emprops" in ASCII), as in `append_events_2`; it belongs to one database."""

# %b: BinaryArray has only a binary form.
APPEND_EVENTS = """
select append, position, repeated, stream_id, actual, recorded_at, before, before_id from append_events_2(
  %b::int4[], %b::uuid[], %b::int8[], %b::uuid[], %b::bytea[],
  %b::int4[], %b::uuid[], %b::uuid[], %b::int8[], %b::text[], %b::bytea[])"""
SELECT_FIRST_RESULT = """
select max(position), stream_id, max(version) from events where event_id = any(%b::uuid[]) group by stream_id"""


@dataclass(slots=True)
class PreparedEvent:
    """An event, encoded."""

    event_id: UUID
    type: str
    data: bytes


@dataclass(slots=True)
class Append:
    """One command's events, encoded: all are written, or none. Each stream occurs once."""

    streams: Sequence[tuple[UUID, int, Sequence[PreparedEvent]]]
    """(stream id, expected version, events)"""
    metadata: bytes
    done: asyncio.Future[Appended]
    deadline: float
    """By the event loop's clock."""
    size: int
    """Bytes of memory that it needs while it waits, about."""
    generation: int
    """The generation of `Epochs` at which the state was read that it was decided on."""
    is_in_flight: bool = False
    """Whether it has been sent and is not answered, so that it may or may not be recorded."""

    @property
    def key(self) -> UUID:
        """The id of its first event, which identifies the command, since it is derived from the command's id."""
        return self.streams[0][2][0].event_id

    def succeed(self, result: Appended) -> None:
        """Answers the caller, unless its deadline has passed."""
        if not self.done.done():
            self.done.set_result(result)

    def fail(self, error: BaseException) -> None:
        """As `succeed`, with an error."""
        if not self.done.done():
            self.done.set_exception(error)


def arguments(batch: list[Append]) -> tuple[BinaryArray, ...]:
    """The arguments of `append_events_2`; appends are numbered from 1, as SQL arrays are."""
    of_append: list[int] = []
    streams: list[UUID] = []
    expected: list[int] = []
    keys: list[UUID] = []
    metadata: list[bytes] = []
    event_append: list[int] = []
    event_ids: list[UUID] = []
    event_streams: list[UUID] = []
    versions: list[int] = []
    types: list[str] = []
    data: list[bytes] = []
    for place, append in enumerate(batch, 1):
        keys.append(append.key)
        metadata.append(append.metadata)
        for stream, version, events in append.streams:
            of_append.append(place)
            streams.append(stream)
            expected.append(version)
            for number, event in enumerate(events, version + 1):
                event_append.append(place)
                event_ids.append(event.event_id)
                event_streams.append(stream)
                versions.append(number)
                types.append(event.type)
                data.append(event.data)
    return (
        *(int4s(of_append), uuids(streams), int8s(expected)),
        *(uuids(keys), byteas(metadata)),
        *(int4s(event_append), uuids(event_ids), uuids(event_streams), int8s(versions), texts(types), byteas(data)),
    )


Row = tuple[Any, ...]
"""A row of the event table: position, event_id, stream_id, version, type, data, metadata, recorded_at."""


class BatchResult(NamedTuple):
    """The result of `append_events_2`; appends are identified by their numbers, from 1."""

    positions: list[int]
    """Positions of the events written, in order."""
    repeated: set[int]
    """Appends whose command was recorded before."""
    conflicts: dict[int, tuple[UUID, int]]
    """Appends with a version conflict: the stream that is not at the expected version, and its version."""
    recorded_at: datetime | None
    """The time of all events written."""
    before: tuple[int, UUID] | None
    """Position and id of the event before them; None in an empty store, or when nothing was written."""

    @classmethod
    def of(cls, rows: Sequence[tuple[Any, ...]]) -> "BatchResult":
        """From the rows that the statement returned."""
        first = next((row for row in rows if row[1] is not None and row[6] is not None), None)
        result = cls([], set(), {}, rows[0][5] if rows else None, (first[6], first[7]) if first else None)
        for place, position, is_repeat, stream, actual, *_ in rows:
            if position is not None:
                result.positions.append(position)
            elif is_repeat:
                result.repeated.add(place)
            else:
                result.conflicts.setdefault(place, (stream, actual))
        result.positions.sort()
        return result

    def rows_of(self, batch: Sequence[Append]) -> list[Row]:
        """The events written, in order, as a query would return them."""
        positions = iter(self.positions)
        return [
            (
                next(positions),
                event.event_id,
                stream,
                version,
                event.type,
                event.data,
                append.metadata,
                self.recorded_at,
            )
            for place, append in enumerate(batch, 1)
            if place not in self.conflicts and place not in self.repeated
            for stream, expected, events in append.streams
            for version, event in enumerate(events, expected + 1)
        ]
