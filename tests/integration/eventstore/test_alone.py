"""A process that is alone with its database tells nobody what it does, until another one comes."""

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
    """A process that takes itself to be alone, though somebody overhears it."""
    await eventually(lambda: sql.execute(SELECT_LISTENING).fetchone() is not None, "it listens")
    sql.execute(f"listen {CHANNEL}".encode())
    monkeypatch.setattr(watermarks, "ALONE_AFTER", -1.0)
    return store


async def test_nobody_is_told_nothing(alone: EventStore, sql: psycopg.Connection) -> None:
    for _ in range(20):
        await alone.append(counted(uuid4(), 0, 1), context())
    sql.execute("select pg_notify(%s, 'the end')", (CHANNEL,))
    heard = []
    for notification in sql.notifies(timeout=PATIENCE):
        heard.append(notification.payload)
        if heard[-1] == "the end":
            break
    assert not [payload for payload in heard if HEAD_WATERMARK in payload]


async def test_who_comes_is_told_everything(
    alone: EventStore, sql: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also what was recorded between its beginning to listen and its being heard."""
    position = (await alone.append(counted(uuid4(), 0, 1), context())).position
    sql.execute("select pg_notify(%s, %s)", (CHANNEL, HERE))
    wanted = f"{HEAD_WATERMARK}={position}"

    def is_told() -> bool:
        return any(wanted in each.payload.split(",") for each in sql.notifies(timeout=0.02))

    await eventually(is_told, "it is told what was recorded before")
    monkeypatch.setattr(watermarks, "ALONE_AFTER", PATIENCE)
    async with EventStore.open(alone.dsn, CODEC) as other:

        async def hears() -> bool:
            later = (await alone.append(counted(uuid4(), 0, 1), context())).position
            return await other.watermarks.wait_for(HEAD_WATERMARK, later, 0.1)

        assert await eventually(hears, "it hears what is appended, once it listens")


async def test_it_knows_itself_after_many_connections(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It opens one each time that it has something to tell after a while, and never takes itself for another one."""
    monkeypatch.setattr(watermarks, "SENDS_FOR", 0.0)
    monkeypatch.setattr(watermarks, "ANNOUNCE_EVERY", 0.05)
    monkeypatch.setattr(watermarks, "ALONE_AFTER", PATIENCE)
    marks = Watermarks(database)
    running = asyncio.create_task(marks.run())
    with psycopg.connect(database, autocommit=True) as sql:
        sql.execute(f"listen {CHANNEL}".encode())

        def told() -> list[str]:
            return [each.payload for each in sql.notifies(timeout=0.02)]

        for number in range(1, 21):
            marks.advance("x", number)
            await eventually(lambda number=number: f"x={number}" in told(), "it is told")  # type: ignore[misc]
        monkeypatch.setattr(watermarks, "ALONE_AFTER", 1.0)
        heard: list[str] = []

        async def has_said(times: int) -> None:
            await eventually(lambda: heard.extend(told()) or heard.count(HERE) >= times, "it says that it is there")

        await has_said(40)  # for longer than others are waited for
        heard.clear()
        marks.advance("x", 99)
        await has_said(20)
        assert "x=99" not in heard
    await stop(running)


async def test_what_a_lost_connection_did_not_send_is_sent_again(database: str) -> None:
    """Nobody asks the database for a number that another process alone knows."""
    one, other = Watermarks(database), Watermarks(database)
    running = [asyncio.create_task(each.run()) for each in (one, other)]
    with psycopg.connect(database, autocommit=True) as sql:

        async def is_heard() -> bool:
            one.advance("x", one.value("x") + 1)
            return await other.wait_for("x", one.value("x"), 0.2)

        await eventually(is_heard, "both are connected")
        assert sql.execute(END_SENDERS).fetchall(), "a connection was ended"
        one.advance("x", 1000)
        assert await other.wait_for("x", 1000, PATIENCE)
    await stop(*running)
