"""The position that a follower has reached in the notifications of each application that it follows."""

from typing import Any

import psycopg
from eventsourcing.persistence import IntegrityError, Tracking, TrackingRecorder
from eventsourcing.utils import retry

from shared.eventsourcing_adapter.database import TRANSIENT_ERRORS, Database

ADVANCE_TRACKING = """
insert into recorder_tracking as t (follower, application_name, notification_id) values (%s, %s, %s)
on conflict (follower, application_name) do update set notification_id = excluded.notification_id
where t.notification_id < excluded.notification_id
returning notification_id"""
SELECT_TRACKING = "select notification_id from recorder_tracking where follower = %s and application_name = %s"


class StoreTrackingRecorder(TrackingRecorder):
    """Records positions. A subclass with tables calls `_insert_tracking` in the transaction that writes them."""

    def __init__(self, database: Database, follower: str) -> None:
        self.database, self.follower = database, follower

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def insert_tracking(self, tracking: Tracking) -> None:
        """Records a position by itself. Raises IntegrityError unless it is beyond the recorded one."""
        with self.database.connection() as connection:
            self._insert_tracking(connection.cursor(), tracking)

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def max_tracking_id(self, application_name: str) -> int | None:
        """The last notification of an application that was processed; None before the first."""
        with self.database.connection() as connection:
            row = connection.execute(SELECT_TRACKING, (self.follower, application_name)).fetchone()
        return row[0] if row else None

    def _insert_tracking(self, cursor: psycopg.Cursor[tuple[Any, ...]], tracking: Tracking) -> None:
        """Raises IntegrityError if this or a later notification has been processed already."""
        cursor.execute(ADVANCE_TRACKING, (self.follower, tracking.application_name, tracking.notification_id))
        if cursor.fetchone() is None:
            raise IntegrityError(
                f"{self.follower!r} has processed notification {tracking.notification_id} of "
                f"{tracking.application_name!r} already"
            )
