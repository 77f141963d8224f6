"""Records events together with the position of the notification that caused them, in one transaction."""

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import ProcessRecorder, StoredEvent, Tracking

from shared.eventsourcing_adapter.application import StoreApplicationRecorder
from shared.eventsourcing_adapter.database import Database
from shared.eventsourcing_adapter.tracking import StoreTrackingRecorder


class StoreProcessRecorder(StoreTrackingRecorder, StoreApplicationRecorder, ProcessRecorder):
    """For an application that follows others; `follower` is its name."""

    def __init__(self, database: Database, follower: str) -> None:
        super().__init__(database, follower)

    def insert_events(
        self, stored_events: Sequence[StoredEvent], *, tracking: Tracking | None = None, **kwargs: Any
    ) -> Sequence[int] | None:
        """As `StoreApplicationRecorder.insert_events`, together with `tracking`.

        Raises IntegrityError also when that notification has been processed before.
        """
        if tracking is None:
            return self._record(stored_events, **kwargs)
        return self._record(
            stored_events, in_transaction=lambda cursor: self._insert_tracking(cursor, tracking), **kwargs
        )
