"""The event store: append with group commit, load, snapshot, tail. PostgreSQL, one database per service."""

from typing import TYPE_CHECKING

from shared.lazy_imports import lazily

if TYPE_CHECKING:
    from shared.eventstore.batches import Batch, UndecodedBatch
    from shared.eventstore.codec import Codec, UnknownEventType, Unreadable
    from shared.eventstore.decider import Decider, Handled, Loaded
    from shared.eventstore.migrate import Schema
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
]

__getattr__ = lazily(
    __name__,
    {
        "shared.eventstore.batches": ("Batch", "UndecodedBatch"),
        "shared.eventstore.codec": ("Codec", "UnknownEventType", "Unreadable"),
        "shared.eventstore.decider": ("Decider", "Handled", "Loaded"),
        "shared.eventstore.migrate": ("Schema",),
        "shared.eventstore.records": (
            "Appended",
            "Context",
            "RecordedEvent",
            "StoreUnavailable",
            "StreamAppend",
            "UndecodedEvent",
            "VersionConflict",
        ),
        "shared.eventstore.seal": ("Seal",),
        "shared.eventstore.store": ("EventStore",),
        "shared.eventstore.watermarks": ("Watermarks",),
    },
)
