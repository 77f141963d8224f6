"""What a consumer can't handle is parked: its stream waits, all others flow, operators decide, and all is recorded."""

import asyncio
import contextlib
import itertools
import json
import secrets
from collections import defaultdict
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psycopg
import pytest

from shared.contracts.event import event_type
from shared.contracts.problem import Problem
from shared.eventstore import EventStore, RecordedEvent
from shared.messaging import RetrySettings, connected, parking
from shared.messaging.cloudevents import event_headers, event_subject
from shared.messaging.parking import Parked
from shared.messaging.streams import MSG_ID, message_id
from tests.integration.messaging.support import (
    OWNER,
    Broker,
    Counted,
    background,
    count,
    eventually,
    forget,
    positions_published,
    relay,
    remembered,
    runner,
)


class Picky:
    """A handler that fails on the numbers in `poison`."""

    def __init__(self, *poison: int) -> None:
        self.poison = set(poison)
        self.calls = 0
        self.seen: defaultdict[UUID, list[int]] = defaultdict(list)

    async def __call__(self, recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, Counted)
        self.calls += 1
        if recorded.event.n in self.poison:
            raise ValueError(f"{recorded.event.n} can't be counted")
        self.seen[recorded.stream_id].append(recorded.event.n)


async def connect(store: EventStore) -> psycopg.AsyncConnection:
    return await psycopg.AsyncConnection.connect(store.dsn, autocommit=True)


async def parked(store: EventStore, *statuses: str) -> list[Parked]:
    async with await connect(store) as connection:
        with contextlib.suppress(psycopg.errors.UndefinedTable):  # its consumer has not started yet
            return await parking.list_parked(connection, "tests-v1", statuses=statuses or parking.UNRESOLVED)
    return []


def numbers(rows: list[Parked]) -> list[tuple[str, str]]:
    return [(row.status, row.body.decode().partition('"n":')[2].rstrip("}")) for row in rows]


async def test_a_poison_event_is_parked_and_only_its_stream_waits(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """It was tried as often as it should be; what follows in its stream is parked behind it; neighbours flow."""
    picky, sick, well = Picky(2), uuid4(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, sick, 1, 2, 3)
        await count(owner, well, 1, 3, 4)
        await count(owner, sick, 4)
        await eventually(lambda: picky.seen[well] == [1, 3, 4], "the neighbour is handled")
        rows = await eventually(lambda: _three(service), "parked")
        lag = await consumer.lag()
    assert picky.seen[sick] == [1]
    assert numbers(rows) == [("parked", "2"), ("waiting", "3"), ("waiting", "4")]
    first = rows[0]
    assert (first.attempts, first.error) == (3, 'ValueError("2 can\'t be counted")')
    assert (first.stream_id, first.type) == (sick, event_type(Counted))
    assert first.headers["ce-id"] == first.message_id
    assert (lag.parked, lag.waiting, lag.in_flight) == (1, 2, 0)


async def _three(store: EventStore) -> list[Parked] | None:
    rows = await parked(store)
    return rows if len(rows) == 3 else None


async def test_a_retried_event_lets_its_stream_flow_in_order(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """The operator retries the first; it and all behind it are handled in order, before newer ones."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1, 2, 3, 4)
        first, second, _ = await eventually(lambda: _three(service), "parked")
        picky.poison.clear()
        async with await connect(service) as connection:
            with pytest.raises(Problem, match="waits behind"):
                await parking.retry(connection, second.id, by="olga")
            await parking.retry(connection, first.id, by="olga", reason="the fix is out")
            await count(owner, stream, 5)
            await eventually(lambda: picky.seen[stream] == [1, 2, 3, 4, 5], "all handled in order")
            await eventually(lambda: _none(service), "resolved")
            row, actions = await parking.inspect(connection, first.id)
            with pytest.raises(Problem, match="handled already"):
                await parking.retry(connection, first.id, by="olga")
    assert (row.status, row.resolved_by) == ("handled", "tests-v1")
    assert [(each.action, each.actor, each.detail) for each in actions] == [
        ("parked", "tests-v1", 'ValueError("2 can\'t be counted")'),
        ("retry", "olga", "the fix is out"),
        ("handled", "tests-v1", None),
    ]


async def _none(store: EventStore) -> bool:
    return not await parked(store)


async def test_a_retry_that_fails_parks_it_again(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Nothing overtakes it, and the attempt is recorded."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1, 2, 3, 4)
        first, *_ = await eventually(lambda: _three(service), "parked")
        async with await connect(service) as connection:
            await parking.retry(connection, first.id, by="olga")

            async def failed() -> bool:
                row, actions = await parking.inspect(connection, first.id)
                return row.status == "parked" and [each.action for each in actions] == ["parked", "retry", "failed"]

            await eventually(failed, "parked again")
            row, _ = await parking.inspect(connection, first.id)
    assert row.attempts == 6
    assert picky.seen[stream] == [1]


async def test_a_discarded_event_is_passed_over_for_good(
    owner: EventStore, service: EventStore, broker: Broker
) -> None:
    """The rest of its stream flows; also when the broker delivers everything again, it stays discarded."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, broker.url).run):
        async with background(runner(service, broker.url, picky).run):
            await count(owner, stream, 1, 2, 3, 4)
            first, *_ = await eventually(lambda: _three(service), "parked")
            async with await connect(service) as connection:
                with pytest.raises(Problem, match="say why"):
                    await parking.discard(connection, first.id, by="olga", reason=" ")
                await parking.discard(connection, first.id, by="olga", reason="a test of the owner's")
            await eventually(lambda: picky.seen[stream] == [1, 3, 4], "the rest is handled")
        picky.poison.clear()
        await forget(service)
        broker.kill()
        broker.wipe()
        broker.start()
        async with background(runner(service, broker.url, picky).run):
            await count(owner, stream, 5)
            await eventually(lambda: picky.seen[stream][-1] == 5, "refilled")
    assert 2 not in picky.seen[stream]
    [row] = await parked(service, "discarded")
    assert (row.resolved_by, row.reason) == ("olga", "a test of the owner's")


async def test_discarding_the_only_one_frees_its_stream(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """The next event of the stream finds nobody before it, and is handled, not parked."""
    picky, stream = Picky(1), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1)
        [row] = await eventually(lambda: parked(service), "parked")
        async with await connect(service) as connection:
            await parking.discard(connection, row.id, by="olga", reason="not needed")
        await count(owner, stream, 2)
        await eventually(lambda: picky.seen[stream] == [2], "handled")
    assert await parked(service) == []


async def test_a_consumer_that_restarts_knows_what_is_parked(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Its stream still waits; what was asked for while no consumer ran is done at its start."""
    picky, stream = Picky(2), uuid4()
    async with background(relay(owner, nats_url).run):
        async with background(runner(service, nats_url, picky).run):
            await count(owner, stream, 1, 2, 3)
            await eventually(lambda: _statuses(service, "parked", "waiting"), "parked")
        async with background(runner(service, nats_url, picky).run):
            await count(owner, stream, 4)
            first, *_ = await eventually(lambda: _three(service), "parked behind it")
        async with await connect(service) as connection:
            await parking.discard(connection, first.id, by="olga", reason="not needed")
        async with background(runner(service, nats_url, picky).run):
            await eventually(lambda: picky.seen[stream] == [1, 3, 4], "handled in order")


async def _statuses(store: EventStore, *statuses: str) -> bool:
    return [row.status for row in await parked(store)] == list(statuses)


async def test_malformed_messages_are_parked_at_once_and_the_consumer_goes_on(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Garbage of many kinds: each is parked with what is wrong with it, once, and no event is lost or held up."""
    picky, stream = Picky(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run), connected(nats_url, "rogue") as rogue:
        js = rogue.jetstream()
        await count(owner, stream, 1)
        await eventually(lambda: picky.seen[stream] == [1], "handled")
        [good] = await owner.read_all()
        subject = event_subject(OWNER, good).replace(str(stream), str(uuid4()))
        good_headers, positions = event_headers(OWNER, good), itertools.count(100)

        def headers(**changes: str | None) -> dict[str, str]:
            position = next(positions)
            fresh = {"ce-id": str(uuid4()), "ce-subject": str(uuid4()), "ce-position": str(position)}
            names = {MSG_ID: message_id(OWNER, 1, position)}
            merged = good_headers | fresh | names | {name.replace("_", "-"): value for name, value in changes.items()}
            return {name: value for name, value in merged.items() if value is not None}

        stray = "not of the owner's relay:"
        nobody: list[tuple[bytes, dict[str, str] | None, str]] = [
            (b"", None, f"{stray} ce-id and ce-subject must be UUIDs"),
            (secrets.token_bytes(50), None, f"{stray} ce-id and ce-subject must be UUIDs"),
            (good.data, {"x": "nul\0byte"}, f"{stray} ce-id and ce-subject must be UUIDs"),
            (good.data, headers(ce_id="7"), f"{stray} ce-id and ce-subject must be UUIDs"),
            (good.data, headers(ce_position="-1"), f"{stray} ce-id and ce-subject must be UUIDs"),
            (good.data, headers(ce_position=str(2**70)), f"{stray} ce-id and ce-subject must be UUIDs"),
            (good.data, headers(ce_epoch="0"), f"{stray} ce-id and ce-subject must be UUIDs"),
            (good.data, headers(ce_time="yesterday"), f"{stray} ce-id and ce-subject must be UUIDs"),
            (good.data, headers(ce_position="7"), f"{stray} its Nats-Msg-Id is counting:"),
            (good.data, headers(ce_epoch="2"), f"{stray} its Nats-Msg-Id is counting:"),
            (good.data, headers(ce_source="/emprops/other"), f"{stray} its source is /emprops/other"),
            (good.data, headers(**{MSG_ID: None}), f"{stray} its Nats-Msg-Id is None"),
        ]
        somebody: list[tuple[bytes, dict[str, str] | None, str]] = [
            (good.data, headers(ce_streamversion="x"), "a header has the wrong form"),
            (good.data, headers(ce_actor=None), "the header ce-actor is missing"),
            (good.data, headers(), "the headers belong to the subject"),
            (b"\xff\xfe", headers(), "the body is not a counted.v1"),
            (b'{"type":"counted.v1","n":"many"}', headers(), "the body is not a counted.v1"),
            (b"[" * 10_000, headers(), "the body is not a counted.v1"),
            (b'{"type":"sung.v1"}', headers(ce_type="sung.v1"), "this consumer knows no event of type sung.v1"),
        ]
        for body, head, _ in nobody + somebody:
            await js.publish(subject, body, headers=head)
        await count(owner, stream, 2)
        await eventually(lambda: picky.seen[stream] == [1, 2], "the consumer goes on")

        async def all_parked() -> list[Parked] | None:
            rows = await parked(service)
            return rows if len(rows) == len(nobody) + len(somebody) else None

        rows = await eventually(all_parked, "all parked")
    reasons = sorted(row.error or "" for row in rows)
    expected = sorted(reason for _, _, reason in nobody + somebody)
    assert all(error.startswith(reason) for reason, error in zip(expected, reasons, strict=True)), reasons
    assert [row.stream_id for row in rows].count(None) == len(nobody)
    assert {row.status for row in rows} == {"parked"}


async def test_a_malformed_message_without_a_stream_can_be_retried_or_discarded(
    service: EventStore, owner: EventStore, nats_url: str
) -> None:
    """It holds nobody up, so it stands for itself."""
    picky = Picky()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, uuid4(), 1)
        await eventually(lambda: picky.calls, "running")
        async with connected(nats_url, "rogue") as rogue:
            await rogue.jetstream().publish(f"events.{OWNER}.counter.x.counted.v1", b"?")
        [row] = await eventually(lambda: parked(service), "parked")
        async with await connect(service) as connection:
            await parking.retry(connection, row.id, by="olga")

            async def again() -> bool:
                return len((await parking.inspect(connection, row.id))[1]) == 3

            await eventually(again, "tried and parked again")
            await parking.discard(connection, row.id, by="olga", reason="garbage")
            with pytest.raises(Problem, match="discarded already"):
                await parking.retry(connection, row.id, by="olga")
            with pytest.raises(Problem, match="does not exist"):
                await parking.inspect(connection, row.id + 1)
    assert await parked(service) == []


async def test_a_position_that_nobody_recorded_does_not_move_what_is_settled(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Somebody's message pretends to be of a far future: later events are handled all the same, after a restart too."""
    picky, stream = Picky(), uuid4()
    async with background(relay(owner, nats_url).run), connected(nats_url, "rogue") as rogue:
        async with background(runner(service, nats_url, picky).run):
            await count(owner, stream, 1)
            await eventually(lambda: picky.seen[stream] == [1], "handled")
            [good] = await owner.read_all()
            future = {"ce-position": "1000000", "ce-time": "2999-01-01T00:00:00Z", "ce-id": str(uuid4())}
            headers = event_headers(OWNER, good) | future
            await rogue.jetstream().publish(event_subject(OWNER, good), good.data, headers=headers)
            last = await count(owner, stream, 2)

            async def settled() -> bool:
                return await remembered(service) == last

            await eventually(settled, "settled")
        await forget(service)
        async with background(runner(service, nats_url, picky).run):
            await count(owner, stream, 3)
            await eventually(lambda: picky.seen[stream][-1] == 3, "handled")


async def test_a_thousand_malformed_messages(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """A flood of garbage is parked, all of it, and what follows is handled."""
    picky, stream = Picky(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, stream, 1)
        await eventually(lambda: picky.calls, "running")
        async with connected(nats_url, "rogue") as rogue:
            for _ in range(1000):
                subject = f"events.{OWNER}.counter.{uuid4()}.counted.v1"
                await rogue.publish(subject, secrets.token_bytes(20), headers={"ce-id": secrets.token_hex(4)})
        await count(owner, stream, 2)
        await eventually(lambda: picky.seen[stream] == [1, 2], "handled")

        async def all_parked() -> bool:
            return (await consumer.lag()).parked == 1000

        await eventually(all_parked, "all parked")
    assert len(await positions_published(nats_url)) == 2


async def test_messages_that_no_client_can_send_are_parked_too(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Bytes put on the wire by hand: subjects and headers that are not UTF-8, headers that play the server's status."""
    picky, stream = Picky(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, stream, 1)
        await eventually(lambda: picky.seen[stream] == [1], "handled")
        server = urlsplit(nats_url)
        lines, wire = await asyncio.open_connection(server.hostname, server.port)
        login = json.dumps({"user": server.username, "pass": server.password, "verbose": False, "headers": True})
        wire.write(f"CONNECT {login}\r\n".encode())
        wire.write(b"PUB events.counting.counter.\xff\xfe.counted.v1 1\r\n?\r\n")
        for head in (
            b"NATS/1.0\r\nce-id: \xff\xfe\r\nbro\xffken: x\r\nnocolon\r\n: y\r\n\r\n",
            b"NATS/1.0 503\r\n\r\n",
            b"NATS/1.0 100 Idle Heartbeat\r\n\r\n",
            b"NATS/1.0 \xff\xff\xff\r\n\r\n",
            b"not even nats\r\n\r\n",
        ):
            wire.write(b"HPUB events.counting.counter.x.counted.v1 %d %d\r\n%b\r\n" % (len(head), len(head), head))
        wire.write(b"PING\r\n")
        assert (await lines.readline()).startswith(b"INFO")
        assert await lines.readline() == b"PONG\r\n"
        wire.close()
        await count(owner, stream, 2)
        await eventually(lambda: picky.seen[stream] == [1, 2], "the consumer goes on")

        async def all_parked() -> bool:
            return (await consumer.lag()).parked == 6

        await eventually(all_parked, "all parked")
    assert consumer.subscription.rounds == 2, "nats-py's read loop ends over one of them, and only once"


async def test_a_handler_that_takes_too_long_has_failed(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """It is stopped, tried as often as any, and parked: it does not hold its place for ever."""
    stopped = 0

    async def hang(recorded: RecordedEvent) -> None:
        nonlocal stopped
        try:
            await asyncio.Event().wait()
        finally:
            stopped += 1

    retries = RetrySettings(attempts=2, first_pause=0.01, longest_call=0.05)
    async with background(relay(owner, nats_url).run, runner(service, nats_url, hang, retries=retries).run):
        await count(owner, uuid4(), 1)
        [row] = await eventually(lambda: parked(service), "parked")
    assert (row.error, row.attempts, stopped) == ("Overdue('stopped after 0.05 s')", 2, 2)


async def test_a_field_that_a_newer_owner_has_added_does_not_disturb(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """An additive change of a contract needs no upgrade of its consumers."""
    picky, stream = Picky(), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1)
        await eventually(lambda: picky.seen[stream] == [1], "handled")
        async with await connect(owner) as connection:
            await connection.execute(
                "insert into events (event_id, stream_id, version, type, data, metadata)"
                " select %s, stream_id, 2, type, %s, metadata from events",
                (uuid4(), b'{"type":"counted.v1","n":2,"unit":"sheep"}'),
            )
        await eventually(lambda: picky.seen[stream] == [1, 2], "handled")
    assert await parked(service) == []
