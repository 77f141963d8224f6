"""The bytes that a projector holds in memory are bounded, whatever the size of rows."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest

from shared.eventstore import EventStore, StreamAppend
from shared.projections import rebuild, table
from tests.integration.eventstore.tally import context
from tests.integration.projections.tables import projecting
from tests.integration.projections.test_values import CODEC, SAYINGS, Said
from tests.support.patience import PATIENCE

STREAMS = 60
BUDGET = 40_000
LARGE = {"text": "x" * 5_000}


async def test_large_rows_are_read_in_several_queries(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many small events each change a large row: together, the rows would exceed the bound."""
    monkeypatch.setattr(table, "ROWS_BYTES", BUDGET)
    monkeypatch.setattr(table, "CHUNK", 2)
    rejected: list[str] = []
    raised = table.TooManyBytes.__init__

    def count(error: table.TooManyBytes, text: str) -> None:
        rejected.append(text)
        raised(error, text)

    monkeypatch.setattr(table.TooManyBytes, "__init__", count)
    streams = [uuid4() for _ in range(STREAMS)]
    async with EventStore.open(database, CODEC) as store:
        await say(store, streams, 0, LARGE)
        await say(store, streams, 1, {})
        async with projecting(store, SAYINGS) as projector:
            assert await projector.caught_up(await store.head(), PATIENCE)
        assert rejected, "the first read was given up, and done again with fewer rows"
        rows = await store.pool.rows('select id, first::text, "all"::text from sayings_v1', ())
        assert {row[0] for row in rows} == set(streams)
        assert all(len(first) > 5_000 and every.endswith(",{}]") for _, first, every in rows)
        assert (await rebuild(store, SAYINGS)).same


async def say(store: EventStore, streams: list[UUID], version: int, document: dict[str, Any]) -> None:
    await asyncio.gather(
        *(store.append([StreamAppend(stream, version, [Said(document)])], context()) for stream in streams)
    )
