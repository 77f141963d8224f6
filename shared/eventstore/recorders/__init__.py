"""The `eventsourcing` library on the event store's tables: `PERSISTENCE_MODULE=shared.eventstore.recorders`.

Its events and the services' own share one table, one lock and one order of positions: a library application sees what a
service recorded, and a service's tailers see what the application recorded.
"""

from shared.eventstore.recorders.aggregate import StoreAggregateRecorder, StoreSnapshotRecorder
from shared.eventstore.recorders.application import StoreApplicationRecorder
from shared.eventstore.recorders.factory import Factory
from shared.eventstore.recorders.process import StoreProcessRecorder
from shared.eventstore.recorders.tracking import StoreTrackingRecorder

__all__ = [
    "Factory",
    "StoreAggregateRecorder",
    "StoreApplicationRecorder",
    "StoreProcessRecorder",
    "StoreSnapshotRecorder",
    "StoreTrackingRecorder",
]
