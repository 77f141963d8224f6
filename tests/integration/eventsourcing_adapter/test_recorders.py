"""The recorders of the `eventsourcing` library: commands and their contexts, tracking, faults."""

import asyncio
from collections.abc import Iterator
from threading import Event as Flag
from threading import Thread
from uuid import UUID, uuid4, uuid5

import msgspec
import psycopg
import pytest
from eventsourcing.application import Application
from eventsourcing.persistence import IntegrityError, OperationalError, Tracking
from eventsourcing.utils import Environment

from shared.eventsourcing_adapter import Factory, StoreProcessRecorder
from shared.eventstore import Context, EventStore
from tests.integration.eventsourcing_adapter.library import LIBRARY, Account, stored
from tests.integration.eventstore.lossy_proxy import LossyProxy
from tests.support.patience import PATIENCE


@pytest.fixture
def factory(store: EventStore) -> Iterator[Factory]:
    factory = Factory(Environment("followers", {"DATABASE_URL": store.dsn}))
    yield factory
    factory.close()


class TestCommands:
    async def test_the_context_is_recorded(self, store: EventStore, application: Application[UUID]) -> None:
        """`save` records it, as the services do for their own events."""
        expected = Context(uuid4(), "user:ada", traceparent="00-1-2-01")
        account = Account("Ada")
        await asyncio.to_thread(application.save, account, context=expected)
        async with EventStore.open(store.dsn, LIBRARY) as service:
            (recorded,) = await service.read_stream(account.id)
        assert recorded.context == expected
        assert recorded.event_id == uuid5(expected.command_id, "0")

    def test_the_same_command_again(self, factory: Factory) -> None:
        """Is not recorded again: its first positions are the answer."""
        recorder, stream, command = factory.application_recorder(), uuid4(), uuid4()
        events = [stored(stream, 1), stored(stream, 2)]
        positions = recorder.insert_events(events, command_id=command)
        recorder.insert_events([stored(uuid4(), 1)])
        assert recorder.insert_events(events, command_id=command) == positions
        assert recorder.max_notification_id() == 3

    def test_another_command_for_the_same_version(self, factory: Factory) -> None:
        """Is a conflict."""
        recorder, stream = factory.application_recorder(), uuid4()
        recorder.insert_events([stored(stream, 1)], command_id=uuid4())
        with pytest.raises(IntegrityError):
            recorder.insert_events([stored(stream, 1)], command_id=uuid4())

    async def test_a_lost_answer(self, store: EventStore) -> None:
        """The recorder tries again over a new connection, and finds its own events."""
        async with LossyProxy.before(store.dsn) as proxy:
            factory = Factory(Environment("lossy", {"DATABASE_URL": proxy.dsn}))
            recorder = await asyncio.to_thread(factory.application_recorder)
            first_positions = await asyncio.to_thread(recorder.insert_events, [stored(uuid4(), 1)])
            # By what is bound and not by the statement's text, which a connection that has prepared it sends no more.
            proxy.lose_answer_to(b"topic of the lost")
            events = [stored(uuid4(), 1, topic="topic of the lost") for _ in range(2)]
            positions = await asyncio.to_thread(recorder.insert_events, events)
            await asyncio.to_thread(factory.close)
        assert proxy.lost == 1
        assert (first_positions, positions) == ([1], [2, 3])
        assert await store.head() == 3


class TestProcesses:
    def test_events_and_tracking_together(self, factory: Factory) -> None:
        """A conflict of either undoes both."""
        recorder, stream = factory.process_recorder(), uuid4()
        recorder.insert_events([stored(stream, 1)], tracking=Tracking("upstream", 5))
        with pytest.raises(IntegrityError):
            recorder.insert_events([stored(stream, 1)], tracking=Tracking("upstream", 6))
        assert recorder.max_tracking_id("upstream") == 5
        with pytest.raises(IntegrityError, match="has processed notification 5 of 'upstream' already"):
            recorder.insert_events([stored(stream, 2)], tracking=Tracking("upstream", 5))
        assert len(recorder.select_events(stream)) == 1

    def test_a_lost_answer_is_no_conflict(self, factory: Factory) -> None:
        """The same command again finds its events, which were committed together with its tracking."""
        recorder, stream, command = factory.process_recorder(), uuid4(), uuid4()
        tracking = Tracking("upstream", 5)
        positions = recorder.insert_events([stored(stream, 1)], tracking=tracking, command_id=command)
        assert recorder.insert_events([stored(stream, 1)], tracking=tracking, command_id=command) == positions

    def test_followers_are_tracked_each(self, store: EventStore, factory: Factory) -> None:
        """Two projections of the library in one database don't take each other's places."""
        other = Factory(Environment("others", {"DATABASE_URL": store.dsn}))
        factory.tracking_recorder().insert_tracking(Tracking("upstream", 5))
        recorder = other.tracking_recorder()
        assert recorder.max_tracking_id("upstream") is None
        recorder.insert_tracking(Tracking("upstream", 3))
        assert factory.tracking_recorder().max_tracking_id("upstream") == 5
        other.close()

    def test_waiting_for_a_follower(self, factory: Factory) -> None:
        """`wait` of the library ends when the follower gets there."""
        recorder: StoreProcessRecorder = factory.process_recorder()
        done = Flag()

        def wait() -> None:
            recorder.wait("upstream", 5, timeout=PATIENCE)
            done.set()

        thread = Thread(target=wait)
        thread.start()
        recorder.insert_events([stored(uuid4(), 1)], tracking=Tracking("upstream", 5))
        thread.join(PATIENCE)
        assert done.is_set()


class TestFaults:
    def test_postgresql_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Is the library's OperationalError, after as many attempts as the library's own recorders make."""
        pauses: list[float] = []
        monkeypatch.setattr("eventsourcing.utils.sleep", pauses.append)
        with pytest.raises(OperationalError):
            Factory(Environment("x", {"DATABASE_URL": "postgresql://127.0.0.1:1/nowhere"})).application_recorder()

    def test_a_role_that_may_not_create_tables(self, store: EventStore) -> None:
        """With CREATE_TABLE=no nothing is created: a service has made the tables, or an operator."""
        factory = Factory(Environment("x", {"DATABASE_URL": store.dsn, "CREATE_TABLE": "no"}))
        assert factory.application_recorder().insert_events([stored(uuid4(), 1)]) == [1]
        with psycopg.connect(store.dsn) as sql:
            assert sql.execute("select to_regclass('recorder_tracking')").fetchone() == (None,)
        factory.close()


async def test_metadata_is_always_a_context(store: EventStore, application: Application[UUID]) -> None:
    """Relay and consumers read it from every event, also from those that the adapter recorded."""
    await asyncio.to_thread(application.save, Account("Ada"))
    async with store.reader() as cursor:
        await cursor.execute("select metadata, event_id from events")
        row = await cursor.fetchone()
    assert row
    metadata = msgspec.json.decode(row[0], type=Context)
    assert row[1] == uuid5(metadata.command_id, "0")
