"""A store that is filled with a long history: its followers have nothing to handle because of that."""

from uuid import uuid4

import psycopg

from benchmarks.account import history
from benchmarks.growth import add_events
from services.credits.app import SERVICE
from shared.eventstore import Context, EventStore, StreamAppend
from shared.eventstore.checkpoints import checkpoint, set_checkpoint
from shared.eventstore.migrate import migrate
from shared.projections import Projector


async def test_events_are_added_as_handled_by_all_followers(database):
    for schema in SERVICE.schemas():
        await migrate(database, schema)
    user = uuid4()
    async with EventStore.open(database, SERVICE.codec()) as store:
        projector = Projector(store, SERVICE.projections)
        await projector.prepare()
        await set_checkpoint(store, "relay", 0)
        await store.append([StreamAppend(user, 0, list(history(user, 4)))], Context(uuid4(), "test"))
        add_events(database, 50)
        head = await store.head()
        assert await checkpoint(store, "relay") == head
        assert [lag.events for lag in await projector.lag()] == [0] * len(SERVICE.projections)
        assert len(await store.read_stream(user)) == 7, "no stream that is there has changed"
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*) from events").fetchone() == (50,)
    add_events(database, 50)
    with psycopg.connect(database) as connection:
        assert connection.execute("select count(*), max(position) from events").fetchone() == (50, head)
