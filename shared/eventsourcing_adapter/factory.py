"""Lets `PERSISTENCE_MODULE=shared.eventsourcing_adapter` put a library application on the event store."""

from typing import TypeVar

from eventsourcing.persistence import InfrastructureFactory, Recorder
from eventsourcing.utils import Environment, EnvType, resolve_topic, strtobool

from shared.eventsourcing_adapter.aggregate import StoreAggregateRecorder, StoreSnapshotRecorder
from shared.eventsourcing_adapter.application import StoreApplicationRecorder
from shared.eventsourcing_adapter.database import Database
from shared.eventsourcing_adapter.process import StoreProcessRecorder
from shared.eventsourcing_adapter.tracking import StoreTrackingRecorder

R = TypeVar("R", bound=Recorder)

DATABASE_URL = "DATABASE_URL"
CREATE_TABLE = "CREATE_TABLE"
"""The library's own setting: "no" when the tables exist already and the role must not create any."""


class Factory(InfrastructureFactory[StoreTrackingRecorder]):
    """Environment: `DATABASE_URL`. One database holds one sequence of events, so one application per database.

    A follower's tracking is kept under the application's name, so that several may follow from one database.
    """

    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        dsn = self.env.get(DATABASE_URL)
        if not dsn:
            raise OSError(f"the environment needs {DATABASE_URL}, a PostgreSQL connection string")
        self.database = Database(dsn)

    def aggregate_recorder(self, purpose: str = "events") -> StoreAggregateRecorder | StoreSnapshotRecorder:
        """A recorder of events or snapshots. Raises ValueError for another purpose."""
        self._create_tables()
        match purpose:
            case "events":
                return StoreAggregateRecorder(self.database)
            case "snapshots":
                return StoreSnapshotRecorder(self.database)
        raise ValueError(f"aggregates are recorded for events or snapshots, not for {purpose!r}")

    def application_recorder(self) -> StoreApplicationRecorder:
        """Of the class that APPLICATION_RECORDER_TOPIC names, or the default. Raises TypeError if it is no subclass."""
        self._create_tables()
        return self._class(self.APPLICATION_RECORDER_TOPIC, StoreApplicationRecorder)(self.database)

    def tracking_recorder(
        self, tracking_recorder_class: type[StoreTrackingRecorder] | None = None
    ) -> StoreTrackingRecorder:
        """Of `tracking_recorder_class`, else of that which TRACKING_RECORDER_TOPIC names, else of the default one."""
        self._create_tables()
        recorder = tracking_recorder_class or self._class(self.TRACKING_RECORDER_TOPIC, StoreTrackingRecorder)
        return recorder(self.database, self.env.name)

    def process_recorder(self) -> StoreProcessRecorder:
        """Of the class that PROCESS_RECORDER_TOPIC names, or the default. Raises TypeError if it is no subclass."""
        self._create_tables()
        return self._class(self.PROCESS_RECORDER_TOPIC, StoreProcessRecorder)(self.database, self.env.name)

    def close(self) -> None:
        """Closes the database's connections."""
        self.database.close()

    def _class(self, setting: str, default: type[R]) -> type[R]:
        """The recorder class that the environment names, or the default. Raises TypeError if it is no subclass."""
        topic = self.env.get(setting)
        if not topic:
            return default
        recorder_class: type[R] = resolve_topic(topic)
        if not issubclass(recorder_class, default):
            raise TypeError(f"{setting} names {topic}, which is not a subclass of {default.__name__}")
        return recorder_class

    def _create_tables(self) -> None:
        if strtobool(self.env.get(CREATE_TABLE) or "yes"):
            self.database.create_tables()
