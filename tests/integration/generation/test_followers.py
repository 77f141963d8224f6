"""Who follows a job is told everything, and what is kept for it meanwhile has a bound in bytes."""

from typing import Any
from uuid import UUID, uuid4

import msgspec
import pytest_asyncio

from services.generation.broker import Broker
from services.generation.live import KEPT_BYTES, MOST_KEPT, MOST_SAID, PAGE_BYTES, Follower, JobEvent, JobEventHub
from shared.contracts.work import Progress
from shared.eventstore import EventStore
from tests.integration.generation.scene import Api

ROW = 400 * 1024
INSERT = "insert into job_events_v2 (position, job_id, event, data) values (%s, %s, 'node_completed', %s)"


async def insert(store: EventStore, job_id: UUID, positions: range, size: int = ROW) -> list[JobEvent]:
    """Rows as the projector writes them."""
    data = msgspec.json.encode({"outputs": "x" * size}).decode()
    async with store.pool.connection() as connection:
        for position in positions:
            await connection.execute(INSERT, (position, job_id, data))
    decoded: dict[str, Any] = msgspec.json.decode(data)
    return [JobEvent(position, "node_completed", decoded, len(data)) for position in positions]


@pytest_asyncio.fixture
async def hub(api: Api) -> JobEventHub:
    return JobEventHub(api.store, Broker("nats://nobody", "unused"))


async def told(follower: Follower, last: int) -> list[list[JobEvent]]:
    """What it is told at each turn, up to a position."""
    turns: list[list[JobEvent]] = []
    while not turns or turns[-1][-1].position != last:
        turns.append(await follower.next(60))
    return turns


async def test_a_long_history_comes_in_pages_of_so_many_bytes(api: Api, hub: JobEventHub) -> None:
    """And its end with them."""
    job_id = uuid4()
    rows = await insert(api.store, job_id, range(1, 41))
    async with hub.follow(job_id) as follower:
        turns = await told(follower, 40)
    assert [row for turn in turns for row in turn] == rows
    assert [sum(row.size for row in turn) <= PAGE_BYTES + ROW + 100 for turn in turns] == [True] * len(turns)
    assert len(turns) == 4


async def test_one_that_is_slow_reads_the_table_instead_of_being_kept_for(api: Api, hub: JobEventHub) -> None:
    job_id = uuid4()
    async with hub.follow(job_id) as follower:
        first = await insert(api.store, job_id, range(1, 2))
        assert await told(follower, 1) == [first]
        rows = await insert(api.store, job_id, range(2, 12))
        kept = []
        for row in rows:
            follower.offer(row)
            kept.append(follower.kept_bytes)
        assert kept[1] > 0, "what fits is kept"
        assert max(kept) <= KEPT_BYTES
        assert [row for turn in await told(follower, 11) for row in turn] == rows


async def test_a_row_that_is_larger_than_what_is_kept_is_read(api: Api, hub: JobEventHub) -> None:
    job_id = uuid4()
    async with hub.follow(job_id) as follower:
        await insert(api.store, job_id, range(1, 2), size=10)
        await told(follower, 1)
        [large] = await insert(api.store, job_id, range(2, 3), size=KEPT_BYTES)
        follower.offer(large)
        assert follower.kept_bytes == 0
        assert await told(follower, 2) == [[large]]


async def test_progress_is_kept_of_so_many_steps_and_characters(hub: JobEventHub) -> None:
    job_id = uuid4()
    async with hub.follow(job_id, after=2**62) as follower:
        for number in range(MOST_KEPT + 50):
            said = Progress(job_id, uuid4(), UUID(int=number), 1, 0.5, "m" * 100_000)
            follower.offer_progress(said)
        news = await follower.next(60)
    assert [each.data["sid"].int for each in news] == list(range(50, MOST_KEPT + 50))
    assert {len(each.data["message"]) for each in news} == {MOST_SAID}
