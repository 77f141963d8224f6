"""All followers of one process together read the store once per append, and decode each event once."""

import asyncio
import contextlib
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from shared.eventstore import Codec, EventStore, recent_events
from shared.eventstore.sequence_reader import SELECT_SEQUENCE
from shared.messaging.outbox import BEGINNING, Outbox, Place
from tests.integration.eventstore.tally import CODEC, context, counted
from tests.integration.processes.reacting import Reaction, running
from tests.integration.projections.tables import projecting
from tests.support.patience import PATIENCE, eventually

PROCESSES, APPENDS = 4, 12


class Counts:
    """Counts queries of the sequence, and decodings of each event's bytes."""

    def __init__(self, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.queries = 0
        self.decoded: Counter[bytes] = Counter()
        rows, decode = store.pool.rows, Codec.decode

        async def counting_rows(query: Any, parameters: Any) -> Any:
            self.queries += query == SELECT_SEQUENCE
            return await rows(query, parameters)

        def counting_decode(codec: Codec, tag: str, data: bytes) -> Any:
            self.decoded[data] += 1
            return decode(codec, tag, data)

        monkeypatch.setattr(store.pool, "rows", counting_rows)
        monkeypatch.setattr(Codec, "decode", counting_decode)


@pytest.mark.parametrize(("by", "queries"), [("this process", 0), ("another one", APPENDS)])
async def test_followers_share_one_query_per_append(
    store: EventStore, monkeypatch: pytest.MonkeyPatch, by: str, queries: int
) -> None:
    """A projector of three tables, four processes, and the relay's outbox.

    Events that this process appends need none.
    """
    reactions, outbox = [Reaction() for _ in range(PROCESSES)], Outbox(store, limit=100, unknown_patience=1.0)
    published: list[Place] = [BEGINNING]

    async def relay() -> None:
        while True:
            published.extend([Place(event.position, event.event_id) for event in await outbox.after(published[-1])])
            await store.watermarks.wait_beyond("events", published[-1].position)

    async with contextlib.AsyncExitStack() as stack:
        other = await stack.enter_async_context(EventStore.open(store.dsn, CODEC))
        writing = store if by == "this process" else other
        projector = await stack.enter_async_context(projecting(store))
        for number, reaction in enumerate(reactions):
            await stack.enter_async_context(running(store, reaction, name=f"mirror-{number}"))
        relaying = asyncio.create_task(relay())

        async def all_have(position: int) -> None:
            assert await projector.caught_up(position, PATIENCE)
            await eventually(
                lambda: (
                    all(follower.positions[-1:] == [position] for follower in reactions)
                    and published[-1].position == position
                ),
                "all followers have it",
            )

        await all_have((await store.append(counted(uuid4(), 0, -1), context())).position)
        counts = Counts(store, monkeypatch)
        monkeypatch.setattr(
            recent_events, "FRESH", 1e9
        )  # how often followers look again, though nothing came, is a matter of time
        for number in range(APPENDS):
            await all_have((await writing.append(counted(uuid4(), 0, 1000 + number), context())).position)
        relaying.cancel()
    assert len(counts.decoded) == APPENDS
    assert set(counts.decoded.values()) == {1}
    assert counts.queries == queries
