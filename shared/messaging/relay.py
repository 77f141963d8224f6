"""The relay: the store is the outbox, and the relay publishes its events in order to the service's JetStream stream.

It runs in rounds. Each round compares stream and store (resuming.py), and publishes over one connection what follows
the last event that both have (fenced_publishing.py), until something fails: a refusal, a timeout, a lost connection, a
store that went back. The fence makes this correct, not the lease: each message names the one before it, so the stream
refuses one of two relays.
"""

import asyncio
from dataclasses import dataclass

import nats.errors
import psycopg
import structlog
from nats.aio.client import Client

from shared.backoff import Backoff
from shared.eventstore import EventStore, StoreUnavailable, UnknownEventType
from shared.eventstore.checkpoints import checkpoint
from shared.eventstore.epochs import Epoch
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import migrate
from shared.handling import parking
from shared.handling.retry import RetrySettings, retry_database
from shared.messaging.connection import connected
from shared.messaging.fenced_publishing import FencedPublishing, StreamMoved
from shared.messaging.outbox import HistoryChanged, Outbox, describe
from shared.messaging.publishing import Publisher, Refused
from shared.messaging.refusals import NAME, Refusals
from shared.messaging.relay_state import RelayCheckpoint, RelayState, now
from shared.messaging.resuming import Resuming
from shared.messaging.streams import StreamLimits, ensure_stream
from shared.progress import Progress
from shared.stopping import run_until, stoppable

SELECT_AGE_OF_FIRST_AFTER = """
select coalesce(extract(epoch from clock_timestamp() - min(oldest.recorded_at)), 0)::float8
from (select recorded_at from events where position > %s order by position limit 1) oldest"""
VERIFY_EVERY = 5.0
"""Seconds between two checks of the stream while there is nothing to publish."""
CONNECT_WITHIN = 5.0
"""Seconds for one try to connect to NATS."""
FAILURES = (
    *(nats.errors.Error, psycopg.Error, StoreUnavailable, OSError),
    *(HistoryChanged, UnknownEventType, Refused, StreamMoved),
)
"""Errors that end a round; the next one begins after a pause."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Lag:
    """How far publishing is behind the store: positions, and the age in seconds of the oldest unpublished event."""

    events: int
    seconds: float


class Relay:
    """Run one on every replica: the one that holds the lease publishes, the others wait for the lease.

    `batch`: events published before an acknowledgement is awaited, for at most `ack_timeout` seconds. `verify_every`:
    see VERIFY_EVERY. `give_up_after`: seconds of failures after which another replica may lead. `unknown_patience`:
    seconds for which an event of a type that this release does not know is left to a replica that may know it.
    """

    def __init__(
        self,
        store: EventStore,
        service: str,
        nats_url: str,
        *,
        limits: StreamLimits | None = None,
        batch: int = 1000,
        ack_timeout: float = 5.0,
        verify_every: float = VERIFY_EVERY,
        give_up_after: float = 10.0,
        unknown_patience: float = 15.0,
        instance: str = "",
    ) -> None:
        self.store, self.service = store, service
        self._url, self._limits = nats_url, limits or StreamLimits()
        self._ack_timeout, self._verify_every, self._give_up_after = ack_timeout, verify_every, give_up_after
        self._instance = instance or "this replica"
        self._outbox = Outbox(store, limit=batch, unknown_patience=unknown_patience)
        self._resuming = Resuming(store, self._outbox, service)
        self._refusals = Refusals(store, self._outbox, service)
        self._state = self._new_state(None)
        self.active = False
        self.resyncs = 0
        """How often stream and store were compared."""
        store.on_epoch(self._on_epoch)

    def _new_state(self, lease: Lease | None) -> RelayState:
        return RelayState(RelayCheckpoint(self.store, self._verify_every / 2, lease))

    def _on_epoch(self, _: Epoch) -> None:
        self._state.went_back = True

    @property
    def published(self) -> int:
        """Position of the last event that the stream is known to hold."""
        return self._state.place.position

    @property
    def trouble(self) -> str | None:
        """The error because of which nothing is published at the moment."""
        return self._state.error

    async def run(self) -> None:
        """Runs until cancelled, through outages of NATS and PostgreSQL of any length."""
        await run_as_leader(self.store, NAME, self.publish)

    async def publish(self, lease: Lease | None = None) -> None:
        """Publishes while this replica leads. Returns after `give_up_after` seconds of failures, so that another leads.

        Two relays without a lease would still be correct, since the fence holds; they would only repeat work.
        """
        await retry_database(lambda: migrate(self.store.dsn, parking.SCHEMA), NAME, RetrySettings())
        await retry_database(self._refusals.retry_known_types, NAME, RetrySettings())
        backoff = Backoff(f"relay of {self.service}", on=FAILURES)
        state = self._state = self._new_state(lease)
        state.note_success()
        self.active = True
        try:
            while True:
                before = state.place
                try:
                    await stoppable(self._publish_over_one_connection())
                except FAILURES as error:
                    state.note_failure(error)
                    if state.place != before:
                        backoff.reset()
                    if now() - state.succeeded_at > self._give_up_after:
                        log.warning("relay_gives_up", service=self.service, error=state.error)
                        return
                    await backoff.pause(error)
        finally:
            self.active = False

    async def _publish_over_one_connection(self) -> None:
        lost = asyncio.Event()
        async with connected(self._url, f"{self.service}-relay", lost, within=CONNECT_WITHIN) as client:
            await run_until(lost, self._publish_over(client))
        raise nats.errors.ConnectionClosedError

    async def _publish_over(self, client: Client) -> None:
        """One round. Creates the stream if it is missing."""
        publisher, state = Publisher(client), self._state
        await publisher.start()
        state.went_back = False
        js, stream = (
            client.jetstream(timeout=self._ack_timeout),
            await ensure_stream(client, self.service, self._limits),
        )
        state.place = await self._resuming.place(js, stream.state, state.checkpoint.read)
        self.resyncs += 1
        log.info("relay_resynced", service=self.service, position=self.published, sequence=stream.state.last_seq)
        publishing = FencedPublishing(
            self.store,
            self.service,
            publisher,
            self._outbox,
            self._refusals,
            state,
            end=stream.state.last_seq,
            ack_timeout=self._ack_timeout,
            verify_every=self._verify_every,
        )
        await publishing.run(js)

    # Observation

    async def lag(self) -> Lag:
        """On any replica: the active one publishes its position as a watermark."""
        head, published = await self.store.head(), await self._known_published()
        if head <= published:
            return Lag(0, 0.0)
        ((age,),) = await self.store.pool.rows(SELECT_AGE_OF_FIRST_AFTER, (published,))
        return Lag(head - published, max(0.0, age))

    async def _known_published(self) -> int:
        if self.active and self.resyncs:
            return self.published
        return max(self.store.watermarks.value(NAME), await checkpoint(self.store, NAME))

    async def progress(self) -> list[Progress]:
        """For readiness: on the active replica the unpublished events and the cause; on any, the withheld events."""
        lag = await self.lag()
        async with self.store.pool.connection() as connection:
            parked = sum((await parking.count_unresolved(connection, NAME)).values())
            leader = await self.store.leases.leader(NAME, connection)
        state = self._state
        error = state.error if self.active else None
        since = now() - state.succeeded_at if error else 0.0
        return [
            Progress(
                name=NAME,
                waiting=max(lag.events, 1 if error else 0),
                waiting_seconds=max(lag.seconds, since),
                event=describe(state.stuck_on) if state.stuck_on and error else None,
                error=error,
                parked=parked,
                leader=self._instance if self.active else leader,
            )
        ]
