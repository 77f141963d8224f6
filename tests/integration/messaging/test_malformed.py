"""Messages that are not valid events of the owner are parked at once, and the consumer continues."""

import asyncio
import itertools
import json
import secrets
from urllib.parse import urlsplit
from uuid import uuid4

from shared.eventstore import EventStore
from shared.handling.parking import Parked
from shared.messaging import connected
from shared.messaging.cloudevents import event_headers, event_subject
from shared.messaging.streams import MSG_ID, message_id
from tests.integration.messaging.parked import Picky, connect, parked
from tests.integration.messaging.support import (
    OWNER,
    background,
    count,
    forget,
    positions_published,
    relay,
    remembered,
    runner,
)
from tests.support.patience import eventually


async def test_malformed_messages_are_parked_at_once(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Each with its fault; no event is lost or delayed."""
    picky, stream = Picky(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run), connected(nats_url, "rogue") as rogue:
        js = rogue.jetstream()
        await count(owner, stream, 1)
        await eventually(lambda: picky.numbers[stream] == [1], "handled")
        [good] = await owner.read_all()
        subject = event_subject(OWNER, good).replace(str(stream), str(uuid4()))
        good_headers, positions = event_headers(OWNER, good), itertools.count(100)

        def headers(**changes: str | None) -> dict[str, str]:
            position = next(positions)
            fresh = {"ce-id": str(uuid4()), "ce-subject": str(uuid4()), "ce-position": str(position)}
            names = {MSG_ID: message_id(OWNER, 1, position)}
            merged = good_headers | fresh | names | {name.replace("_", "-"): value for name, value in changes.items()}
            return {name: value for name, value in merged.items() if value is not None}

        stray = "not from the owner's relay:"
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
            (b'{"type":"sung.v1"}', headers(ce_type="sung.v1"), "this release knows no event of type sung.v1"),
        ]
        for body, head, _ in nobody + somebody:
            await js.publish(subject, body, headers=head)
        await count(owner, stream, 2)
        await eventually(lambda: picky.numbers[stream] == [1, 2], "the consumer goes on")

        async def all_parked() -> list[Parked] | None:
            rows = await parked(service)
            return rows if len(rows) == len(nobody) + len(somebody) else None

        rows = await eventually(all_parked, "all parked")
    reasons = sorted(row.error or "" for row in rows)
    expected = sorted(reason for _, _, reason in nobody + somebody)
    assert all(error.startswith(reason) for reason, error in zip(expected, reasons, strict=True)), reasons
    assert [row.stream_id for row in rows].count(None) == len(nobody)
    assert {row.status for row in rows} == {"parked"}


async def test_a_forged_position_does_not_move_the_checkpoint(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    """Later events are handled, also after a restart."""
    picky, stream = Picky(), uuid4()
    async with background(relay(owner, nats_url).run), connected(nats_url, "rogue") as rogue:
        async with background(runner(service, nats_url, picky).run):
            await count(owner, stream, 1)
            await eventually(lambda: picky.numbers[stream] == [1], "handled")
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
            await eventually(lambda: picky.numbers[stream][-1] == 3, "handled")


async def test_hundreds_of_malformed_messages_are_parked(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Events after them are handled."""
    picky, stream = Picky(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, stream, 1)
        await eventually(lambda: picky.calls, "running")
        async with connected(nats_url, "rogue") as rogue:
            for _ in range(300):
                subject = f"events.{OWNER}.counter.{uuid4()}.counted.v1"
                await rogue.publish(subject, secrets.token_bytes(20), headers={"ce-id": secrets.token_hex(4)})
        await count(owner, stream, 2)
        await eventually(lambda: picky.numbers[stream] == [1, 2], "handled")

        async def all_parked() -> bool:
            return (await consumer.lag()).parked == 300

        await eventually(all_parked, "all parked")
    assert len(await positions_published(nats_url)) == 2


async def test_messages_with_invalid_bytes_are_parked(owner: EventStore, service: EventStore, nats_url: str) -> None:
    """Written directly to the socket: subjects and headers that are not UTF-8, and headers of the server's status."""
    picky, stream = Picky(), uuid4()
    consumer = runner(service, nats_url, picky)
    async with background(relay(owner, nats_url).run, consumer.run):
        await count(owner, stream, 1)
        await eventually(lambda: picky.numbers[stream] == [1], "handled")
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
        await eventually(lambda: picky.numbers[stream] == [1, 2], "the consumer goes on")

        async def all_parked() -> bool:
            return (await consumer.lag()).parked == 6

        await eventually(all_parked, "all parked")
    assert consumer.subscription.rounds == 2, "nats-py's read loop ends over one of them, and only once"


async def test_unknown_fields_of_a_newer_owner_are_ignored(
    owner: EventStore, service: EventStore, nats_url: str
) -> None:
    picky, stream = Picky(), uuid4()
    async with background(relay(owner, nats_url).run, runner(service, nats_url, picky).run):
        await count(owner, stream, 1)
        await eventually(lambda: picky.numbers[stream] == [1], "handled")
        async with await connect(owner) as connection:
            await connection.execute(
                "insert into events (event_id, stream_id, version, type, data, metadata)"
                " select %s, stream_id, 2, type, %s, metadata from events",
                (uuid4(), b'{"type":"counted.v1","n":2,"unit":"sheep"}'),
            )
        await eventually(lambda: picky.numbers[stream] == [1, 2], "handled")
    assert await parked(service) == []
