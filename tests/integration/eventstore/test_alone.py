"""A process that is alone with its database tells nobody what it does, until another one comes."""

from uuid import uuid4

import psycopg
import pytest

from shared.eventstore import EventStore, watermarks
from shared.eventstore.watermarks import CHANNEL, HEAD_WATERMARK, HERE
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.support.patience import PATIENCE, eventually

SELECT_LISTENING = """
select from pg_stat_activity
where datname = current_database() and query = 'listen watermarks' and state = 'idle'"""


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

        await eventually(hears, "it hears what is appended, once it listens")
