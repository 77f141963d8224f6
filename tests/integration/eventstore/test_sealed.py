"""A store with compressed and encrypted events: PostgreSQL has nothing readable, and readers get plain events."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID, uuid4

import psycopg
import pytest
from eventsourcing.cipher import AESCipher
from eventsourcing.compressor import ZlibCompressor
from eventsourcing.utils import Environment

from shared.eventstore import Codec, EventStore, RecordedEvent, Seal, StreamAppend
from shared.handling import operator_actions
from shared.handling.retry import RetrySettings
from shared.processes import Process, ProcessRunner
from shared.projections import rebuild
from tests.integration.eventstore.tally import CODEC, SNAPSHOT_TALLY, Counted, Opened, Tally, context
from tests.integration.eventstore.waiting import first
from tests.integration.messaging.support import background, published, relay, runner
from tests.integration.projections.tables import TALLIES, projecting
from tests.support.patience import eventually

SECRET = "sheep" * 50
PLAIN = CODEC.encode(Opened(SECRET))[1]


@pytest.fixture
def seal() -> Seal:
    return Seal(ZlibCompressor(), AESCipher(Environment(env={"CIPHER_KEY": AESCipher.create_key(32)})))


@pytest.fixture
async def store(database: str, seal: Seal) -> AsyncIterator[EventStore]:
    async with EventStore.open(database, CODEC, seal=seal) as opened:
        yield opened


@pytest.fixture
def stream() -> UUID:
    return uuid4()


@pytest.fixture(autouse=True)
async def recorded(store: EventStore, stream: UUID) -> None:
    await store.append([StreamAppend(stream, 0, [Opened(SECRET), Counted(2)])], context())


class Seen(list[RecordedEvent]):
    is_broken = False

    async def __call__(self, recorded: RecordedEvent) -> None:
        if self.is_broken:
            raise ValueError("not today")
        self.append(recorded)


async def test_events_and_snapshots_are_not_readable_in_the_tables(store: EventStore, stream: UUID) -> None:
    """Both are small."""
    await store.handle(SNAPSHOT_TALLY, stream, lambda _: [Counted(3)], context())
    await asyncio.gather(*store._snapshots)
    with psycopg.connect(store.dsn) as sql:
        data_of_rows = sql.execute("select data from events union all select data from snapshots").fetchall()
    assert len(data_of_rows) == 4
    assert all(len(data) < 150 and b"sheep" not in data and b"name" not in data for (data,) in data_of_rows)


async def test_every_read_returns_plain_events(store: EventStore, stream: UUID, seal: Seal) -> None:
    """Also from a snapshot, and for readers that pass events on."""
    assert [recorded.event for recorded in await first(2, store.tail(0))] == [Opened(SECRET), Counted(2)]
    assert (await store.read_undecoded(0, 1)).events[0].data == PLAIN
    await store.handle(SNAPSHOT_TALLY, stream, lambda _: [Counted(3)], context())
    await asyncio.gather(*store._snapshots)
    async with EventStore.open(store.dsn, CODEC, seal=seal) as fresh:
        assert (await fresh.load(SNAPSHOT_TALLY, stream)).state == Tally(SECRET, 5, 3)


async def test_read_tables_are_projected_and_rebuilt(store: EventStore) -> None:
    async with projecting(store, TALLIES) as projector:
        assert await projector.caught_up(await store.head(), 20)
        rebuilt = await rebuild(store, TALLIES)
    assert (rebuilt.missing, rebuilt.extra) == (0, 0)


async def test_a_consumer_needs_no_key(store: EventStore, nats_url: str, databases: Callable[..., str]) -> None:
    """Published events are plain."""
    handler = Seen()
    async with EventStore.open(databases(), Codec(())) as service:
        consumer = runner(service, nats_url, handler, events=(Opened, Counted))
        async with background(relay(store, nats_url).run, consumer.run):
            await eventually(lambda: len(handler) == 2, "both are handled")
    assert [recorded.event for recorded in handler] == [Opened(SECRET), Counted(2)]
    assert (await published(nats_url))[0][2] == PLAIN


async def test_a_process_reads_its_parked_events(store: EventStore) -> None:
    """When they are retried."""
    reaction = Seen()
    reaction.is_broken = True
    quick = RetrySettings(attempts=1, first_pause=0.005, longest_pause=0.02, look_at_parked_every=0.02)
    process = ProcessRunner(store, Process("mirror-v1", (Opened,), reaction), retries=quick)
    async with background(process.run), store.pool.connection() as connection:
        await eventually(lambda: parked(connection), "it is parked")
        [dead] = await operator_actions.list_parked(connection)
        reaction.is_broken = False
        await operator_actions.retry(connection, dead.id, by="tester")
        await eventually(lambda: len(reaction) == 1, "it is tried again")
    assert reaction[0].event == Opened(SECRET)


async def parked(connection: psycopg.AsyncConnection) -> bool:
    table = await (await connection.execute("select to_regclass('parked')")).fetchone()
    return table != (None,) and bool(await operator_actions.list_parked(connection))
