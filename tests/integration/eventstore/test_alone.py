"""A process that is alone with its database sends no notifications until another one listens."""

import asyncio
from uuid import uuid4

import psycopg
import pytest

from shared.eventstore import EventStore, watermarks
from shared.eventstore.watermarks import CHANNEL, HEAD_WATERMARK, HERE, Watermarks
from shared.stopping import stop
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.support.patience import PATIENCE, eventually

SELECT_LISTENING = """
select from pg_stat_activity
where datname = current_database() and query = 'listen watermarks' and state = 'idle'"""
END_SENDERS = """
select pg_terminate_backend(pid, 5000) from pg_stat_activity
where datname = current_database() and query like 'select pg_notify(%' and pid <> pg_backend_pid()"""


@pytest.fixture
async def alone(store: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> EventStore:
    """The store of a process that takes itself to be alone, while a test's connection listens."""
    await eventually(lambda: sql.execute(SELECT_LISTENING).fetchone() is not None, "it listens")
    sql.execute(f"listen {CHANNEL}".encode())
    monkeypatch.setattr(watermarks, "ALONE_AFTER", -1.0)
    return store


async def test_a_process_that_is_alone_sends_nothing(alone: EventStore, sql: psycopg.Connection) -> None:
    for _ in range(20):
        await alone.append(counted(uuid4(), 0, 1), context())
    sql.execute("select pg_notify(%s, 'the end')", (CHANNEL,))
    payloads = []
    for notification in sql.notifies(timeout=PATIENCE):
        payloads.append(notification.payload)
        if payloads[-1] == "the end":
            break
    assert not [payload for payload in payloads if HEAD_WATERMARK in payload]


async def test_a_new_listener_gets_all_values(
    alone: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those advanced between its LISTEN and its announcement."""
    position = (await alone.append(counted(uuid4(), 0, 1), context())).position
    sql.execute("select pg_notify(%s, %s)", (CHANNEL, HERE))
    payload = f"{HEAD_WATERMARK}={position}"

    def is_told() -> bool:
        return any(payload in notification.payload.split(",") for notification in sql.notifies(timeout=0.02))

    await eventually(is_told, "it is told what was recorded before")
    monkeypatch.setattr(watermarks, "ALONE_AFTER", PATIENCE)
    async with EventStore.open(alone.dsn, CODEC) as other:

        async def hears() -> bool:
            later = (await alone.append(counted(uuid4(), 0, 1), context())).position
            return await other.watermarks.wait_for(HEAD_WATERMARK, later, 0.1)

        assert await eventually(hears, "it is notified of appends, once it listens")


async def test_a_process_recognises_its_own_notifications(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also over new sending connections."""
    monkeypatch.setattr(watermarks, "SENDS_FOR", 0.0)
    monkeypatch.setattr(watermarks, "ANNOUNCE_EVERY", 0.05)
    monkeypatch.setattr(watermarks, "ALONE_AFTER", PATIENCE)
    marks = Watermarks(database)
    running = asyncio.create_task(marks.run())
    with psycopg.connect(database, autocommit=True) as sql:
        sql.execute(f"listen {CHANNEL}".encode())

        def new_payloads() -> list[str]:
            return [notification.payload for notification in sql.notifies(timeout=0.02)]

        for number in range(1, 21):
            marks.advance("x", number)
            await eventually(lambda number=number: f"x={number}" in new_payloads(), "it is notified")  # type: ignore[misc]  # mypy infers no type of a default argument of a lambda
        monkeypatch.setattr(watermarks, "ALONE_AFTER", 1.0)
        payloads: list[str] = []

        async def has_said(times: int) -> None:
            await eventually(
                lambda: payloads.extend(new_payloads()) or payloads.count(HERE) >= times, "it says that it is there"
            )

        await has_said(40)  # for longer than others are waited for
        payloads.clear()
        marks.advance("x", 99)
        await has_said(20)
        assert "x=99" not in payloads
    await stop(running)


async def test_unsent_values_are_sent_over_the_next_connection(database: str) -> None:
    """Other processes do not query for values that only this one has."""
    sender, listener = Watermarks(database), Watermarks(database)
    running = [asyncio.create_task(side.run()) for side in (sender, listener)]
    with psycopg.connect(database, autocommit=True) as sql:

        async def is_heard() -> bool:
            sender.advance("x", sender.value("x") + 1)
            return await listener.wait_for("x", sender.value("x"), 0.2)

        await eventually(is_heard, "both are connected")
        assert sql.execute(END_SENDERS).fetchall(), "a connection was ended"
        sender.advance("x", 1000)
        assert await listener.wait_for("x", 1000, PATIENCE)
    await stop(*running)
