"""Concurrent reads of newer events share queries: when a query starts, whom it answers, and whom it does not delay."""

import asyncio
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from shared.eventstore import StoreUnavailable
from shared.eventstore.newer_events import MAX_EVENTS, MAX_STREAMS, NewerEvents, StreamVersion
from tests.support.patience import PATIENCE

STREAM, OTHER = UUID(int=1), UUID(int=2)


class Database:
    """Streams with a version each; each query returns when the test lets it."""

    def __init__(self) -> None:
        self.versions: dict[UUID, int] = {}
        self.queries: list[asyncio.Future[None]] = []
        self.streams: list[int] = []
        self.newer = NewerEvents(self.rows)
        self._begins = asyncio.Condition()

    async def rows(self, _query: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        query = asyncio.get_running_loop().create_future()
        self.queries.append(query)
        self.streams.append(int.from_bytes(values[0].data[12:16]))
        events = [
            (version, UUID(int=version), stream_id, version, "", b"", b"", None)
            for stream_id, last in self.versions.items()
            for version in range(last - MAX_EVENTS + 1, last + 1)
        ]
        async with self._begins:
            self._begins.notify_all()
        await query
        return [(*event, len(events)) for event in events]

    async def begun(self, number: int) -> None:
        async with asyncio.timeout(PATIENCE), self._begins:
            await self._begins.wait_for(lambda: len(self.queries) >= number)


@pytest.mark.asyncio
async def test_concurrent_requests_share_one_query() -> None:
    database = Database()
    asking = [asyncio.create_task(database.newer.than(StreamVersion(UUID(int=number), 1))) for number in range(100)]
    await database.begun(1)
    database.queries[0].set_result(None)
    assert await asyncio.gather(*asking) == [[[]]] * 100
    assert database.streams == [100]


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes no query count as slow."""
    monkeypatch.setattr("shared.eventstore.newer_events.SLOW_AFTER", 60.0)


@pytest.mark.asyncio
@pytest.mark.usefixtures("patient")
async def test_a_later_request_waits_for_a_later_query() -> None:
    """A query that started before the request may miss events that were recorded before it."""
    database = Database()
    first = asyncio.create_task(database.newer.than(StreamVersion(STREAM, MAX_EVENTS)))
    await database.begun(1)
    database.versions[STREAM] = MAX_EVENTS + 1
    later = [
        asyncio.create_task(database.newer.than(StreamVersion(STREAM, version)))
        for version in (MAX_EVENTS, MAX_EVENTS + 1)
    ]
    await asyncio.sleep(0)
    assert len(database.queries) == 1
    database.queries[0].set_result(None)
    assert await first == [[]]
    await database.begun(2)
    database.queries[1].set_result(None)
    # One has all of the few that are read at once: there may be more, so each reads by itself.
    assert await asyncio.gather(*later) == [None, None]


@pytest.mark.asyncio
async def test_a_silent_connection_does_not_delay_later_requests() -> None:
    database = Database()
    silent = asyncio.create_task(database.newer.than(StreamVersion(STREAM, 1)))
    await database.begun(1)
    other = asyncio.create_task(database.newer.than(StreamVersion(OTHER, 1)))
    await database.begun(2)
    database.queries[1].set_result(None)
    assert await other == [[]]
    third = asyncio.create_task(database.newer.than(StreamVersion(OTHER, 1)))
    await database.begun(3)
    database.queries[2].set_result(None)
    assert await third == [[]]
    assert not silent.done()
    database.queries[0].set_result(None)
    assert await silent == [[]]


@pytest.mark.asyncio
@pytest.mark.usefixtures("patient")
async def test_a_failed_query_fails_only_its_own_requests() -> None:
    database = Database()
    failing = [asyncio.create_task(database.newer.than(StreamVersion(STREAM, 1))) for _ in range(2)]
    await database.begun(1)
    cancelled = asyncio.create_task(database.newer.than(StreamVersion(OTHER, 1)))
    other = asyncio.create_task(database.newer.than(StreamVersion(OTHER, 1)))
    await asyncio.sleep(0)
    cancelled.cancel()
    database.queries[0].set_exception(StoreUnavailable("it is gone"))
    results = await asyncio.gather(*failing, return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable] * 2
    await database.begun(2)
    database.queries[1].set_result(None)
    assert await other == [[]]
    assert cancelled.cancelled()


@pytest.mark.asyncio
async def test_the_streams_of_a_query_are_bounded() -> None:
    database = Database()
    asking = [
        asyncio.create_task(
            database.newer.than(StreamVersion(UUID(int=2 * n), 1), StreamVersion(UUID(int=2 * n + 1), 1))
        )
        for n in range(MAX_STREAMS)
    ]
    for number in (1, 2):
        await database.begun(number)
        database.queries[number - 1].set_result(None)
    await asyncio.gather(*asking)
    assert database.streams == [MAX_STREAMS, MAX_STREAMS]
