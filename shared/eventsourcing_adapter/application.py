"""The store's sequence as the library's notification log, and subscriptions woken by the store's notifications."""

import time
from collections.abc import Sequence
from threading import Thread
from typing import Any

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    ListenNotifySubscription,
    Notification,
    StoredEvent,
    Subscription,
)
from eventsourcing.utils import retry

from shared.backoff import Backoff
from shared.eventsourcing_adapter.aggregate import StoreAggregateRecorder
from shared.eventsourcing_adapter.database import TRANSIENT_ERRORS
from shared.eventstore.connections import connect_sync
from shared.eventstore.event_rows import NO_LIMIT
from shared.eventstore.sequence_reader import SELECT_LAST_POSITION
from shared.eventstore.watermarks import CHANNEL, FALLBACK, HEAD_WATERMARK

SELECT_NOTIFICATIONS = """
select stream_id, version, type, data, position from events
where position >= %s and position <= %s order by position limit %s"""
SELECT_NOTIFICATIONS_OF_TYPES = """
select stream_id, version, type, data, position from events
where position >= %s and position <= %s and type = any(%s::text[]) order by position limit %s"""

CHECK_STOPPED_EVERY = 0.1
"""Seconds between two checks whether the subscription has been stopped."""


class StoreApplicationRecorder(StoreAggregateRecorder, ApplicationRecorder):
    """A notification's id is its event's position: ids ascend with gaps, and none appears below one that was read."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """As `StoreAggregateRecorder.insert_events`; returns the positions of the events."""
        return self._record(stored_events, **kwargs)

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """Up to `limit` events from `start` (or after it) to `stop`, of the types in `topics` or of all."""
        first = 0 if start is None else start if inclusive_of_start else start + 1
        last = NO_LIMIT if stop is None else stop
        with self.database.connection() as connection:
            if topics:
                cursor = connection.execute(
                    SELECT_NOTIFICATIONS_OF_TYPES, (first, last, list(topics), limit), binary=True
                )
            else:
                cursor = connection.execute(SELECT_NOTIFICATIONS, (first, last, limit), binary=True)
            return [Notification(*row) for row in cursor.fetchall()]

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def max_notification_id(self) -> int | None:
        """The last position; None for a store without events."""
        with self.database.connection() as connection:
            row = connection.execute(SELECT_LAST_POSITION).fetchone()
        return row[0] or None if row else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription["StoreApplicationRecorder"]:
        """A subscription to the events after `gt`. Use it as a context manager: its thread ends with the block."""
        return StoreSubscription(self, gt=gt, topics=topics)


class StoreSubscription(ListenNotifySubscription[StoreApplicationRecorder]):
    """Delivers the services' events, too: their writers notify on the same channel."""

    def __init__(self, recorder: StoreApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder, gt=gt, topics=topics)
        self._listen_thread = Thread(target=self._listen)
        self._listen_thread.start()

    def __exit__(self, *args: object, **kwargs: Any) -> None:
        try:
            super().__exit__(*args, **kwargs)
        finally:
            self._listen_thread.join()

    def _listen(self) -> None:
        backoff = Backoff("subscription", on=(psycopg.OperationalError,), longest=1.0)
        while not self._has_been_stopped:
            try:
                with connect_sync(self._recorder.database.dsn, "subscription", autocommit=True) as connection:
                    connection.execute(f"listen {CHANNEL}")
                    self._wake_until_stopped(connection)
            except psycopg.OperationalError as error:
                backoff.pause_sync(error)

    def _wake_until_stopped(self, connection: "psycopg.Connection[tuple[object, ...]]") -> None:
        """Wakes the subscription at first, for each notification of events, and `FALLBACK` seconds after the last."""
        woken_at = 0.0
        while not self._has_been_stopped:
            notifications = list(connection.notifies(timeout=CHECK_STOPPED_EVERY, stop_after=1))
            now = time.monotonic()
            is_head = any(f"{HEAD_WATERMARK}=" in notification.payload for notification in notifications)
            if is_head or now - woken_at > FALLBACK:
                self._has_been_notified.set()
                woken_at = now
