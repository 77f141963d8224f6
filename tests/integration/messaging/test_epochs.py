"""Store, broker and consumers are restored to earlier moments: it is detected, and no event is skipped."""

import contextlib
import shutil
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from structlog.testing import capture_logs

from shared.eventstore import EventStore, RecordedEvent
from shared.messaging import connected
from shared.messaging.cloudevents import event_headers, event_subject
from shared.runtime.health import history_check, stream_check
from tests.integration.messaging.support import (
    OWNER,
    STREAM,
    Broker,
    Counted,
    background,
    count,
    opened,
    published,
    relay,
    remembered,
    runner,
)
from tests.support.patience import eventually


class Journal:
    """A handler that records its calls."""

    def __init__(self) -> None:
        self.calls: list[UUID] = []
        self.numbers: defaultdict[UUID, list[int]] = defaultdict(list)

    async def __call__(self, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Counted)
        self.calls.append(recorded.event_id)
        self.numbers[recorded.stream_id].append(recorded.event.n)


async def restore(dsn: str, position: int) -> None:
    """Deletes later events as a restore does, where the server's identity does not show it."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute("delete from events where position > %s", (position,))
        await connection.execute("delete from epochs where first_position > %s", (position,))
        await connection.execute("update checkpoints set position = least(position, %s)", (position,))
        await connection.execute(f"alter table events alter column position restart with {position + 1}")  # type: ignore[call-overload]  # psycopg wants a literal statement


async def epochs(dsn: str) -> list[tuple[int, int, dict[str, object]]]:
    async with await psycopg.AsyncConnection.connect(dsn) as connection:
        rows = await connection.execute("select epoch, first_position, details from epochs order by epoch")
        return [(row[0], row[1], row[2]) for row in await rows.fetchall()]


@contextlib.contextmanager
def stopped(broker: Broker) -> Iterator[None]:
    broker.kill()
    yield
    broker.start()


@contextlib.asynccontextmanager
async def publishing(dsn: str, broker: Broker) -> AsyncIterator[EventStore]:
    """Runs a new process of the owner with its relay."""
    async with opened(dsn) as owner, background(relay(owner, broker.url).run):
        yield owner


async def settled(service: EventStore, position: int) -> None:
    async def there() -> bool:
        return await remembered(service) == position

    await eventually(there, f"settled up to {position}")


async def test_a_restored_store_publishes_reused_positions(
    databases: Callable[..., str], service: EventStore, broker: Broker
) -> None:
    """The broker is newer: lost events are named, an epoch begins, and consumers handle the new events."""
    dsn, journal, old, new = databases(), Journal(), uuid4(), uuid4()
    async with background(runner(service, broker.url, journal).run):
        async with publishing(dsn, broker) as owner:
            last = await count(owner, old, 1, 2, 3, 4, 5)
            await eventually(lambda: journal.numbers[old] == [1, 2, 3, 4, 5], "handled")
            lost_ids = [str(event.event_id) for event in (await owner.read_all())[2:]]
        await restore(dsn, last - 3)
        async with publishing(dsn, broker) as owner:
            first_new = await count(owner, new, 1, 2, 3, 4)
            await eventually(lambda: journal.numbers[new] == [1, 2, 3, 4], "handled at reused positions")
    assert len(journal.calls) == 9, "nothing was handled twice"
    (_, (number, first, details)) = await epochs(dsn)
    assert (number, first) == (2, last - 2)
    assert details["taken_back"] == 3
    assert [str(item).split()[1] for item in details["events"]] == lost_ids  # type: ignore[attr-defined]  # a list in the details
    headers = [headers for _, headers, _ in await published(broker.url)]
    ids = [f"{OWNER}:2:{position}" for position in range(last - 2, first_new + 1)]
    assert [item["Nats-Msg-Id"] for item in headers][5:] == ids
    assert [item["ce-epoch"] for item in headers] == ["1"] * 5 + ["2"] * 4


async def test_a_store_restored_twice_begins_two_epochs(
    databases: Callable[..., str], service: EventStore, broker: Broker
) -> None:
    """The second time to before the first: the number of the lost epoch is not used again."""
    dsn, journal, streams = databases(), Journal(), [uuid4() for _ in range(3)]
    async with background(runner(service, broker.url, journal).run):
        for round_, stream in enumerate(streams):
            if round_:
                await restore(dsn, 4 - round_)
            async with publishing(dsn, broker) as owner:
                await count(owner, stream, 1, 2, 3, 4)
                await eventually(lambda: journal.numbers[stream] == [1, 2, 3, 4], "handled")  # noqa: B023 - awaited within the round
    assert [number for number, *_ in await epochs(dsn)] == [1, 3]


async def test_a_restored_broker_gets_the_events_that_it_lacks(
    owner: EventStore, service: EventStore, broker: Broker
) -> None:
    """It is older than the store and the consumer; nothing is handled twice."""
    journal, stream, backup = Journal(), uuid4(), broker.server.directory.parent / f"backup-{uuid4().hex}"
    async with background(relay(owner, broker.url).run, runner(service, broker.url, journal).run):
        await count(owner, stream, 1, 2)
        await eventually(lambda: len(journal.calls) == 2, "handled")
        with stopped(broker):
            shutil.copytree(broker.server.directory / "jetstream", backup)
        await settled(service, await count(owner, stream, 3, 4, 5))
        with stopped(broker):
            broker.wipe()
            shutil.copytree(backup, broker.server.directory / "jetstream")
        await count(owner, stream, 6)
        await eventually(lambda: journal.numbers[stream] == [1, 2, 3, 4, 5, 6], "handled, each once")
    assert [headers["Nats-Msg-Id"] for _, headers, _ in await published(broker.url)] == [
        f"{OWNER}:{position}" for position in range(1, 7)
    ]
    assert len(await epochs(owner.dsn)) == 1, "nothing was taken back"


async def test_store_and_broker_are_restored_together(
    databases: Callable[..., str], service: EventStore, broker: Broker
) -> None:
    """Only the consumer has handled the lost events: reused positions of the same epoch are other events."""
    dsn, journal, old, new = databases(), Journal(), uuid4(), uuid4()
    backup = broker.server.directory.parent / f"backup-{uuid4().hex}"
    async with publishing(dsn, broker) as owner, background(runner(service, broker.url, journal).run):
        await count(owner, old, 1, 2)
        await eventually(lambda: len(journal.calls) == 2, "handled")
        with stopped(broker):
            shutil.copytree(broker.server.directory / "jetstream", backup)
        await settled(service, await count(owner, old, 3, 4, 5))
    with stopped(broker):
        broker.wipe()
        shutil.copytree(backup, broker.server.directory / "jetstream")
    await restore(dsn, 2)
    async with publishing(dsn, broker) as owner, background(runner(service, broker.url, journal).run):
        await count(owner, new, 1, 2, 3, 4)
        await eventually(lambda: journal.numbers[new] == [1, 2, 3, 4], "handled")
    assert journal.numbers[old] == [1, 2, 3, 4, 5]


async def test_a_restored_consumer_handles_lost_events_again(
    owner: EventStore, service: EventStore, broker: Broker
) -> None:
    """It continues at its restored checkpoint."""
    journal, stream = Journal(), uuid4()
    async with background(relay(owner, broker.url).run):
        async with background(runner(service, broker.url, journal).run):
            last = await count(owner, stream, 1, 2)
            await eventually(lambda: len(journal.calls) == 2, "handled")
            await settled(service, last)
            async with await psycopg.AsyncConnection.connect(service.dsn) as connection:
                row = await (await connection.execute("select * from consumed")).fetchone()
            await settled(service, await count(owner, stream, 3, 4))
        async with await psycopg.AsyncConnection.connect(service.dsn) as connection:
            await connection.execute("delete from consumed")
            await connection.execute("insert into consumed values (%s, %s, %s, %s, %s, %s)", row)
        async with background(runner(service, broker.url, journal).run):
            await eventually(lambda: journal.numbers[stream] == [1, 2, 3, 4, 3, 4], "from its mark on, again")


async def test_a_store_is_restored_under_a_running_relay(
    databases: Callable[..., str], service: EventStore, broker: Broker
) -> None:
    """As in a failover that lost commits: connections break, and new events are published, not skipped."""
    dsn, journal, old, new = databases(), Journal(), uuid4(), uuid4()
    async with publishing(dsn, broker), background(runner(service, broker.url, journal).run):
        async with opened(dsn) as owner:
            await count(owner, old, 1, 2, 3, 4, 5)
        await eventually(lambda: len(journal.calls) == 5, "handled")
        await restore(dsn, 2)
        async with opened(dsn) as owner:
            await count(owner, new, 1, 2, 3, 4, 5, 6)
        await eventually(lambda: journal.numbers[new] == [1, 2, 3, 4, 5, 6], "handled")
    assert journal.numbers[old] == [1, 2, 3, 4, 5]
    assert [first for _, first, _ in await epochs(dsn)] == [0, 3]


@pytest.mark.parametrize("form", ["an id alone", "a whole event", "a whole event of a far epoch"])
async def test_a_forged_message_does_not_move_the_relay(
    owner: EventStore, service: EventStore, nats_url: str, form: str
) -> None:
    """A client that may write to the stream states a far position: publishing continues at the true one.

    The log and readiness report an epoch for a plausible message, and a stray for an implausible one.
    """
    journal, stream = Journal(), uuid4()
    publisher, consumer = relay(owner, nats_url), runner(service, nats_url, journal)
    with capture_logs() as logs:
        async with background(publisher.run, consumer.run), connected(nats_url, "rogue") as rogue:
            await count(owner, stream, 1)
            await eventually(lambda: journal.numbers[stream] == [1], "handled")
            [good] = await owner.read_all()
            assert await reports_of(owner) == (None, None)
            forged = await rogue.jetstream().publish(
                event_subject(OWNER, good), good.data, headers=forged_headers(good, form)
            )
            await count(owner, stream, 2, 3)
            await eventually(lambda: journal.numbers[stream][-2:] == [2, 3], "handled")
    history, stray = await reports_of(owner)
    if form == "a whole event":
        lines = [line for line in logs if line["event"] == "events_were_taken_back"]
        assert {(line["log_level"], line["first"]) for line in lines} == {("error", "1:999999999")}
        assert "epoch 2" in (history or "")
    else:
        lines = [line for line in logs if line["event"] == "relay_passes_over_strays"]
        assert {(line["log_level"], line["last"]) for line in lines} == {("warning", forged.seq)}
        assert stray == f"message {forged.seq} of the stream {STREAM} is not from this service's relay: it was skipped"
    assert (history is None, stray is None) == (form != "a whole event", form == "a whole event")
    async with background(relay(owner, nats_url).run, runner(service, nats_url, journal).run):
        await count(owner, stream, 4)
        await eventually(lambda: journal.numbers[stream][-1] == 4, "handled after a restart, too")
    assert len(await epochs(owner.dsn)) == (2 if form == "a whole event" else 1)


def forged_headers(good: RecordedEvent, form: str) -> dict[str, str]:
    if form == "an id alone":
        return {"Nats-Msg-Id": f"{OWNER}:999999999"}
    epoch = "999999" if form.endswith("far epoch") else "1"
    message_id = f"{OWNER}:999999999" if epoch == "1" else f"{OWNER}:{epoch}:999999999"
    forged = {"ce-position": "999999999", "ce-epoch": epoch, "ce-id": str(uuid4()), "Nats-Msg-Id": message_id}
    return event_headers(OWNER, good) | forged


async def reports_of(owner: EventStore) -> tuple[str | None, str | None]:
    """What readiness reports of the history and of the stream."""
    return await history_check(owner)(), await stream_check(owner, OWNER)()


async def test_messages_without_an_epoch_are_of_the_first_one(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Those of earlier releases. The relay continues after them, and consumers handle them."""
    journal, stream = Journal(), uuid4()
    await count(owner, stream, 1, 2)
    async with background(runner(service, nats_url, journal).run), connected(nats_url, "before") as before:
        async with background(relay(owner, nats_url, verify_every=30).run):
            await eventually(lambda: len(journal.calls) == 2, "handled")
        await count(owner, stream, 3)
        recorded = (await owner.read_all())[-1]
        headers = event_headers(OWNER, recorded) | {"Nats-Msg-Id": f"{OWNER}:{recorded.position}"}
        del headers["ce-epoch"]
        await before.jetstream().publish(event_subject(OWNER, recorded), recorded.data, headers=headers)
        await eventually(lambda: len(journal.calls) == 3, "handled")
        async with background(relay(owner, nats_url).run):
            await count(owner, stream, 4)
            await eventually(lambda: journal.numbers[stream] == [1, 2, 3, 4], "each once")
    assert len(await published(nats_url)) == 4
