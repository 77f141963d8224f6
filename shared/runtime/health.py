"""The readiness checks and followers that every service has (see shared.http.health)."""

import time
from collections.abc import Sequence

from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Gauge

from shared.clock import Reading
from shared.eventstore import EventStore
from shared.http.health import Check, NotReady, agreement
from shared.messaging import ConsumerRunner, Relay, connect
from shared.messaging.connection import SELDOM, close
from shared.messaging.resuming import STRAY_WATERMARK
from shared.messaging.streams import FIRST_EPOCH, stream_name
from shared.processes import ProcessRunner
from shared.progress import Follower, Progress
from shared.projections import Projector

WRITER_PATIENCE = 3.0
"""Seconds that a batch of appends may take; usually it takes milliseconds."""
FLUSH_SECONDS = 1


class NatsProbe:
    """Checks over a connection of its own whether NATS answers; `name` is the connection's in the server's lists."""

    def __init__(self, url: str, name: str) -> None:
        self._url, self._name = url, name
        self._client: Client | None = None

    async def check(self) -> str | None:
        """Passes when the server answers. Raises NotReady."""
        if self._client is None or self._client.is_closed:
            self._client = await connect(self._url, self._name, ping_every=SELDOM)
        if not self._client.is_connected:
            raise NotReady("NATS can't be reached")
        try:
            await self._client.flush(timeout=FLUSH_SECONDS)
        except Exception as error:
            raise NotReady(f"NATS does not answer within {FLUSH_SECONDS} s") from error
        return None

    async def close(self) -> None:
        """Closes the connection."""
        if self._client is not None:
            await close(self._client)


def postgresql_check(store: EventStore) -> Check:
    """Passes with the last position of the store; fails when PostgreSQL can't be reached."""

    async def postgresql() -> str | None:
        return f"position {await store.head()}"

    return postgresql


def history_check(store: EventStore) -> Check:
    """Always passes; if the store went back to an earlier moment, says when, from which position on, and why."""

    async def history() -> str | None:
        latest = store.epochs.latest
        if latest.number == FIRST_EPOCH:
            return None
        return (
            f"epoch {latest.number} since {latest.started_at:%Y-%m-%d %H:%M:%S} UTC, from position"
            f" {latest.first_position} on: {latest.reason}"
        )

    return history


def stream_check(store: EventStore, service: str) -> Check:
    """Always passes; names the last message in the service's stream that its relay did not send."""

    async def stream() -> str | None:
        sequence = store.watermarks.value(STRAY_WATERMARK)
        if not sequence:
            return None
        return (
            f"message {sequence} of the stream {stream_name(service)} is not from this service's relay: it was skipped"
        )

    return stream


def writer_check(store: EventStore) -> Check:
    """Fails while the writer waits for PostgreSQL: its own connection is silent, or it waits for a lock."""

    async def writer() -> str | None:
        seconds = store.writer.busy_for()
        if seconds > WRITER_PATIENCE:
            raise NotReady(f"a batch of appends has been waiting for PostgreSQL for {seconds:.1f} s")
        return None

    return writer


def clock_check(store: EventStore) -> Check:
    """Fails if this machine's clock and PostgreSQL's differ: tokens, deadlines and dates are compared with both."""

    async def clock() -> str | None:
        sent_at, since = time.time(), time.monotonic()
        [(moment,)] = await store.pool.rows("select extract(epoch from clock_timestamp())::float8", ())
        return agreement("PostgreSQL's", Reading(moment, sent_at, time.monotonic() - since))

    return clock


def followers(
    projector: Projector, relay: Relay, consumers: Sequence[ConsumerRunner], processes: Sequence[ProcessRunner]
) -> dict[str, Follower]:
    """All followers of a service by name, for readiness."""
    return {
        **({"projections": projector} if projector.projections else {}),
        "relay": relay,
        **{f"consumer {runner.consumer.name}": runner for runner in consumers},
        **{f"process {runner.process.name}": runner for runner in processes},
    }


class Measured:
    """A follower whose progress is written to gauges whenever it is read."""

    GAUGES = (
        ("follower_waiting_events", "Events or messages that are not done yet", "waiting"),
        ("follower_waiting_seconds", "How long the oldest of them has waited", "waiting_seconds"),
        ("follower_parked", "Dead letters that need an operator, and the events behind them", "parked"),
    )

    def __init__(self, follower: Follower, gauges: dict[str, Gauge]) -> None:
        self._follower, self._gauges = follower, gauges

    async def progress(self) -> list[Progress]:
        """The follower's, also written to its gauges."""
        progresses = await self._follower.progress()
        for progress in progresses:
            for field, gauge in self._gauges.items():
                gauge.labels(progress.name).set(getattr(progress, field))
        return progresses


def measured(by_name: dict[str, Follower], registry: CollectorRegistry) -> dict[str, Follower]:
    """Followers whose progress is written to gauges of this registry."""
    gauges = {field: Gauge(name, text, ("follower",), registry=registry) for name, text, field in Measured.GAUGES}
    return {name: Measured(follower, gauges) for name, follower in by_name.items()}
