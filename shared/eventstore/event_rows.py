"""Rows of the event table: querying them, and making events of them."""

from collections.abc import Sequence
from typing import LiteralString

from shared.contracts.event import Event
from shared.eventstore.append_statement import Row
from shared.eventstore.codec import UNREADABLE, Codec, Unreadable
from shared.eventstore.epochs import Epochs
from shared.eventstore.pool import ReadingPool
from shared.eventstore.records import RecordedEvent, UndecodedEvent
from shared.eventstore.seal import Seal

NO_LIMIT = 2**62
PAGE_BYTES = 8 * 1024 * 1024
"""A page of events ends with the event that makes it larger than so many bytes, even if it has few events.

PostgreSQL does not read the data of the events after that one: the sums in the statements need only the lengths, which
it knows without reading the large values.
"""
UNKNOWN = "unknown"
"""The aggregate of an event whose type no version of this release's contracts lists."""


class EventRows:
    """Queries rows of events, and decodes and opens them."""

    def __init__(self, codec: Codec, pool: ReadingPool, epochs: Epochs, seal: Seal) -> None:
        self.codec, self.pool, self.epochs, self.seal = codec, pool, epochs, seal

    async def query(self, statement: LiteralString, parameters: Sequence[object]) -> list[Row]:
        """Rows of events; adds the last one to the trail of events that this process has read."""
        generation = self.epochs.generation
        rows = await self.pool.rows(statement, parameters)
        if rows and generation == self.epochs.generation:
            self.epochs.trail.note(rows[-1][0], rows[-1][1])
        return rows

    def recorded(self, row: Row, *, keep_unreadable: bool = False) -> RecordedEvent:
        """The decoded event. Raises one of UNREADABLE; with `keep_unreadable`, returns it as `Unreadable` instead."""
        position, event_id, stream_id, version, tag, data, metadata, recorded_at = row
        event: Event
        try:
            data = self.seal.open(data)
            event = self.codec.decode(tag, data)
        except UNREADABLE as error:
            if not keep_unreadable:
                raise
            event = Unreadable(str(error))
        return RecordedEvent(position, event_id, stream_id, version, tag, event, data, metadata, recorded_at)

    def undecoded(self, row: Row, *, keep_unknown: bool = False) -> UndecodedEvent:
        """The event as stored. Raises UnknownEventType; with `keep_unknown`, sets the aggregate UNKNOWN instead."""
        position, event_id, stream_id, version, tag, data, metadata, recorded_at = row
        aggregate = UNKNOWN if keep_unknown and not self.codec.has_aggregate(tag) else self.codec.aggregate(tag)
        data = self.seal.open(data)
        return UndecodedEvent(position, event_id, stream_id, version, tag, data, metadata, recorded_at, aggregate)


def size_of(rows: Sequence[Row]) -> int:
    """Bytes of the rows' data and metadata."""
    return sum([len(row[5]) + len(row[6]) for row in rows])
