"""The `eventsourcing` library's own cases pass on the recorders, each test on a fresh database.

Nothing of them is left out: their performance and throughput cases write a few hundred events and print a rate.
"""

import os
from unittest import TestCase

import pytest
from eventsourcing.persistence import AggregateRecorder, ApplicationRecorder, ProcessRecorder, TrackingRecorder
from eventsourcing.tests.application import ApplicationTestCase, ExampleApplicationTestCase
from eventsourcing.tests.persistence import (
    AggregateRecorderTestCase,
    ApplicationRecorderTestCase,
    InfrastructureFactoryTestCase,
    NonInterleavingNotificationIDsBaseCase,
    ProcessRecorderTestCase,
    TrackingRecorderTestCase,
)
from eventsourcing.utils import Environment

from shared.eventsourcing_adapter import (
    Factory,
    StoreAggregateRecorder,
    StoreApplicationRecorder,
    StoreProcessRecorder,
    StoreSnapshotRecorder,
    StoreTrackingRecorder,
)

MODULE = "shared.eventsourcing_adapter"


class OnAFreshDatabase(TestCase):
    factory: Factory

    @pytest.fixture(autouse=True)
    def persistence(self, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """What an operator sets: the library's applications read it from the environment."""
        monkeypatch.setenv("PERSISTENCE_MODULE", MODULE)
        monkeypatch.setenv("DATABASE_URL", database)


class Recorders(OnAFreshDatabase):
    def setUp(self) -> None:
        self.factory = Factory(Environment("conformance", os.environ))
        self.addCleanup(self.factory.close)


class TestAggregateRecorder(Recorders, AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder()


class TestSnapshotRecorder(Recorders, AggregateRecorderTestCase):
    def create_recorder(self) -> AggregateRecorder:
        return self.factory.aggregate_recorder("snapshots")


class TestApplicationRecorder(Recorders, ApplicationRecorderTestCase[ApplicationRecorder]):
    EXPECT_CONTIGUOUS_NOTIFICATION_IDS = True  # as long as nothing was rolled back

    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()

    test_insert_subscribe = ApplicationRecorderTestCase.optional_test_insert_subscribe
    """The library's case for recorders that can be subscribed to, run as it is."""


class TestTrackingRecorder(Recorders, TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.factory.tracking_recorder()


class TestProcessRecorder(Recorders, ProcessRecorderTestCase):
    def create_recorder(self) -> ProcessRecorder:
        return self.factory.process_recorder()


class TestProcessRecorderRecordsAnApplication(Recorders, ApplicationRecorderTestCase[ApplicationRecorder]):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.process_recorder()


class TestProcessRecorderTracks(Recorders, TrackingRecorderTestCase):
    def create_recorder(self) -> TrackingRecorder:
        return self.factory.process_recorder()


class TestNonInterleavingNotificationIDs(Recorders, NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> ApplicationRecorder:
        return self.factory.application_recorder()


class ViewRecorder(StoreTrackingRecorder):
    """What a projection of the library would bring."""


class TestInfrastructureFactory(OnAFreshDatabase, InfrastructureFactoryTestCase[Factory]):
    def setUp(self) -> None:
        self.env = Environment("conformance", dict(os.environ))
        super().setUp()

    def expected_factory_class(self) -> type[Factory]:
        return Factory

    def expected_aggregate_recorder_class(self) -> type[AggregateRecorder]:
        return StoreAggregateRecorder

    def expected_application_recorder_class(self) -> type[ApplicationRecorder]:
        return StoreApplicationRecorder

    def expected_tracking_recorder_class(self) -> type[TrackingRecorder]:
        return StoreTrackingRecorder

    def tracking_recorder_subclass(self) -> type[TrackingRecorder]:
        return ViewRecorder

    def expected_process_recorder_class(self) -> type[ProcessRecorder]:
        return StoreProcessRecorder

    def test_create_snapshot_recorder(self) -> None:
        """Snapshots have a recorder of their own kind; another purpose is refused."""
        assert type(self.factory.aggregate_recorder("snapshots")) is StoreSnapshotRecorder
        with pytest.raises(ValueError, match="not for 'cats'"):
            self.factory.aggregate_recorder("cats")

    def test_needs_a_database(self) -> None:
        """The error names the setting that is missing."""
        with pytest.raises(OSError, match="DATABASE_URL"):
            Factory(Environment("conformance", {"PERSISTENCE_MODULE": MODULE}))

    def test_recorder_class_of_the_wrong_kind(self) -> None:
        """A topic that names something else is refused when the recorder is made."""
        self.factory.env["APPLICATION_RECORDER_TOPIC"] = f"{MODULE}:StoreTrackingRecorder"
        with pytest.raises(TypeError, match="not a subclass of StoreApplicationRecorder"):
            self.factory.application_recorder()


class TestExampleApplication(OnAFreshDatabase, ExampleApplicationTestCase):
    expected_factory_topic = f"{MODULE}.factory:Factory"


class TestApplication(OnAFreshDatabase, ApplicationTestCase):
    """Its contention cases run a hundred threads on ten connections."""


# The imported cases are abstract: pytest shall collect only what is made of them here.
del AggregateRecorderTestCase, ApplicationRecorderTestCase, ApplicationTestCase, ExampleApplicationTestCase
del InfrastructureFactoryTestCase, NonInterleavingNotificationIDsBaseCase, ProcessRecorderTestCase
del TrackingRecorderTestCase
