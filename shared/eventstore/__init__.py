"""The event store: append with group commit, load, snapshot, tail. PostgreSQL, one database per service."""

from shared.eventstore.codec import Codec, UnknownEventType, Unreadable
from shared.eventstore.decider import Decider, Handled, Loaded
from shared.eventstore.migrate import Schema, migrate
from shared.eventstore.reading import Batch, UndecodedBatch
from shared.eventstore.records import (
    Appended,
    Context,
    RecordedEvent,
    StoreUnavailable,
    StreamAppend,
    UndecodedEvent,
    VersionConflict,
)
from shared.eventstore.seal import Seal
from shared.eventstore.store import EventStore
from shared.eventstore.watermarks import Watermarks

__all__ = [
    "Appended",
    "Batch",
    "Codec",
    "Context",
    "Decider",
    "EventStore",
    "Handled",
    "Loaded",
    "RecordedEvent",
    "Schema",
    "Seal",
    "StoreUnavailable",
    "StreamAppend",
    "UndecodedBatch",
    "UndecodedEvent",
    "UnknownEventType",
    "Unreadable",
    "VersionConflict",
    "Watermarks",
    "migrate",
]
