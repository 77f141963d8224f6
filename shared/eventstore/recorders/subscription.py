"""The library's subscriptions, woken by the event store's own notifications."""

import time
from collections.abc import Sequence
from threading import Thread
from typing import TYPE_CHECKING, Any

import psycopg
from eventsourcing.persistence import ListenNotifySubscription

from shared.backoff import Backoff
from shared.eventstore.connections import connect_sync
from shared.eventstore.watermarks import CHANNEL, FALLBACK, HEAD_WATERMARK

if TYPE_CHECKING:
    from shared.eventstore.recorders.application import StoreApplicationRecorder

LOOK_UP = 0.1
"""Seconds between two checks whether the subscription has been stopped."""


class StoreSubscription(ListenNotifySubscription["StoreApplicationRecorder"]):
    """Also gives what the services' writers record: they notify on the same channel."""

    def __init__(self, recorder: "StoreApplicationRecorder", gt: int | None = None, topics: Sequence[str] = ()) -> None:
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
        """Wakes for what may have come before LISTEN, for each notification, and each `FALLBACK` seconds without."""
        woken = 0.0
        while not self._has_been_stopped:
            news = list(connection.notifies(timeout=LOOK_UP, stop_after=1))
            now = time.monotonic()
            if now - woken > FALLBACK or any(f"{HEAD_WATERMARK}=" in notification.payload for notification in news):
                self._has_been_notified.set()
                woken = now
