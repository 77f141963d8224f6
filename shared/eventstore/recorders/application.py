"""The store's sequence as the library's notification log."""

from collections.abc import Sequence
from typing import Any

from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent, Subscription
from eventsourcing.utils import retry

from shared.eventstore.reading import NO_LIMIT, SELECT_HEAD
from shared.eventstore.recorders.aggregate import StoreAggregateRecorder
from shared.eventstore.recorders.database import PASSING
from shared.eventstore.recorders.subscription import StoreSubscription

SELECT_NOTIFICATIONS = """
select stream_id, version, type, data, position from events
where position >= %b and position <= %b order by position limit %b"""
SELECT_NOTIFICATIONS_OF_TYPES = """
select stream_id, version, type, data, position from events
where position >= %b and position <= %b and type = any(%b::text[]) order by position limit %b"""


class StoreApplicationRecorder(StoreAggregateRecorder, ApplicationRecorder):
    """A notification's id is its event's position: it grows, has gaps, and nothing ever appears before one seen."""

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self._record(stored_events, **kwargs)

    @retry(PASSING, max_attempts=10, wait=0.2)
    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
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

    @retry(PASSING, max_attempts=10, wait=0.2)
    def max_notification_id(self) -> int | None:
        with self.database.connection() as connection:
            row = connection.execute(SELECT_HEAD).fetchone()
        return row[0] or None if row else None

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription["StoreApplicationRecorder"]:
        return StoreSubscription(self, gt=gt, topics=topics)
