"""Streams for the library: its aggregates' events on the event store's table, its snapshots on a table of their own."""

import contextlib
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
import psycopg
from eventsourcing.persistence import AggregateRecorder, IntegrityError, StoredEvent
from eventsourcing.utils import retry

from shared.eventsourcing_adapter.database import TRANSIENT_ERRORS, Database
from shared.eventstore.append_statement import APPEND_LOCK
from shared.eventstore.event_rows import NO_LIMIT
from shared.eventstore.records import Context
from shared.eventstore.watermarks import CHANNEL, HEAD_WATERMARK

ACTOR = "eventsourcing"
"""The actor of events that the application records without a `context`."""

LOCK_APPENDS = "select pg_advisory_xact_lock(%s)"
INSERT_EVENTS = """
insert into events (event_id, stream_id, version, type, data, metadata)
select event_id, stream_id, version, type, data, %s
from unnest(%s::uuid[], %s::uuid[], %s::int8[], %s::text[], %s::bytea[])
     with ordinality as e(event_id, stream_id, version, type, data, place)
order by place
returning position"""
SELECT_EVENTS = """
select stream_id, version, type, data from events
where stream_id = %s and version > %s and version <= %s order by version limit %s"""
SELECT_EVENTS_BACKWARDS = """
select stream_id, version, type, data from events
where stream_id = %s and version > %s and version <= %s order by version desc limit %s"""
SELECT_POSITIONS = "select position from events where event_id = any(%s::uuid[]) order by position"
# Its commit need not be durable, so it is not waited for: it contains only a notification.
NOTIFY_WATERMARK = "select set_config('synchronous_commit', 'off', true), pg_notify(%s, %s)"

SELECT_SNAPSHOTS = """
select originator_id, originator_version, topic, state from recorder_snapshots
where originator_id = %s and originator_version > %s and originator_version <= %s
order by originator_version limit %s"""
SELECT_SNAPSHOTS_BACKWARDS = """
select originator_id, originator_version, topic, state from recorder_snapshots
where originator_id = %s and originator_version > %s and originator_version <= %s
order by originator_version desc limit %s"""
INSERT_SNAPSHOTS = """
insert into recorder_snapshots (originator_id, originator_version, topic, state)
select * from unnest(%s::uuid[], %s::int8[], %s::text[], %s::bytea[])"""

InTransaction = Callable[[psycopg.Cursor[tuple[Any, ...]]], None]
"""Records something else, first, in the transaction that records the events."""


class StoreAggregateRecorder(AggregateRecorder):
    """Records into `events`, under the same lock as the event store's own writer, so both share one position order.

    `insert_events(…, context=Context(…))` sets the events' actor, cause and command id; `command_id=` sets only the id.
    A command that was recorded under its id is not recorded again, and has its first result: also after a lost answer.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        """Records the events, all or none. Raises IntegrityError when a version is taken.

        Returns None; `StoreApplicationRecorder` returns the positions.
        """
        self._record(stored_events, **kwargs)
        return None

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """A stream's events with versions above `gt` and up to `lte`, at most `limit`; `desc`: the latest first."""
        return _select(self.database, SELECT_EVENTS_BACKWARDS if desc else SELECT_EVENTS, originator_id, gt, lte, limit)

    def _record(
        self,
        stored_events: Sequence[StoredEvent],
        *,
        context: Context | None = None,
        command_id: UUID | None = None,
        in_transaction: InTransaction | None = None,
        **_: Any,
    ) -> list[int]:
        """Records the events; returns their positions. Raises IntegrityError when a version is taken."""
        context = context or Context(command_id or uuid4(), ACTOR)
        ids = [uuid5(context.command_id, str(index)) for index in range(len(stored_events))]
        try:
            positions: list[int] = self._insert(ids, stored_events, msgspec.json.encode(context), in_transaction)
        except IntegrityError:
            positions = self._recorded_before(ids)
            if not ids or len(positions) != len(ids):
                raise
        return positions

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def _insert(
        self,
        ids: list[UUID],
        stored_events: Sequence[StoredEvent],
        metadata: bytes,
        in_transaction: InTransaction | None,
    ) -> list[int]:
        columns = (
            metadata,
            ids,
            [event.originator_id for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        )
        with self.database.connection() as connection:
            insert = connection.cursor(binary=True)
            if in_transaction:
                in_transaction(insert)
            if not ids:
                return []
            # The lock is taken, used and freed in one round trip, so a process that freezes can't hold it.
            with connection.pipeline():
                connection.execute(LOCK_APPENDS, (APPEND_LOCK,), binary=True)
                insert.execute(INSERT_EVENTS, columns)
                connection.commit()
            positions = [row[0] for row in insert.fetchall()]
            # The events are recorded. If the notification is lost, other processes find them later, by polling.
            with contextlib.suppress(psycopg.Error):
                connection.execute(NOTIFY_WATERMARK, (CHANNEL, f"{HEAD_WATERMARK}={positions[-1]}"))
                connection.commit()
            return positions

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def _recorded_before(self, ids: list[UUID]) -> list[int]:
        with self.database.connection() as connection:
            return [row[0] for row in connection.execute(SELECT_POSITIONS, (ids,), binary=True)]


class StoreSnapshotRecorder(AggregateRecorder):
    """Records the library's snapshots: derived from events, so they need no position and no lock."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def insert_events(self, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Records snapshots. Raises IntegrityError when there is one of that version."""
        columns = (
            [event.originator_id for event in stored_events],
            [event.originator_version for event in stored_events],
            [event.topic for event in stored_events],
            [event.state for event in stored_events],
        )
        with self.database.connection() as connection:
            connection.execute(INSERT_SNAPSHOTS, columns, binary=True)
        return None

    @retry(TRANSIENT_ERRORS, max_attempts=10, wait=0.2)
    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        """A stream's snapshots, bounded as in `StoreAggregateRecorder.select_events`."""
        return _select(
            self.database, SELECT_SNAPSHOTS_BACKWARDS if desc else SELECT_SNAPSHOTS, originator_id, gt, lte, limit
        )


def _select(
    database: Database, statement: str, originator_id: UUID | str, gt: int | None, lte: int | None, limit: int | None
) -> list[StoredEvent]:
    """Versions may be 0: the library lets an application number from there."""
    bounds = (-1 if gt is None else gt, NO_LIMIT if lte is None else lte, limit)
    with database.connection() as connection:
        cursor = connection.execute(statement, (originator_id, *bounds), binary=True)
        return [StoredEvent(*row) for row in cursor.fetchall()]
