"""The `eventsourcing` library on the event store's tables: `PERSISTENCE_MODULE=shared.eventsourcing_adapter`.

Its events and the services' own share one table, one lock and one order of positions: a library application sees what a
service recorded, and a service's tailers see what the application recorded.
"""

from shared.eventsourcing_adapter.aggregate import StoreAggregateRecorder, StoreSnapshotRecorder
from shared.eventsourcing_adapter.application import StoreApplicationRecorder
from shared.eventsourcing_adapter.factory import Factory
from shared.eventsourcing_adapter.process import StoreProcessRecorder
from shared.eventsourcing_adapter.tracking import StoreTrackingRecorder

__all__ = [
    "Factory",
    "StoreAggregateRecorder",
    "StoreApplicationRecorder",
    "StoreProcessRecorder",
    "StoreSnapshotRecorder",
    "StoreTrackingRecorder",
]
