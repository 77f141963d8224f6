"""Followers of a job get all events, and the memory for all of them has a bound in bytes.

However many there are: one subscription for each job, one encoding of each event, one query for equal reads.
"""

import asyncio
import contextlib
import gc
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import msgspec
import pytest
import pytest_asyncio

from services.generation.event_stream import feed
from services.generation.event_stream.events import MAX_PROGRESS_MESSAGE, JobEvent
from services.generation.event_stream.feed import PAGE_BYTES, Follower
from services.generation.event_stream.hub import JobEventHub
from services.generation.projections.job_events import JOB_EVENTS
from services.generation.workers.broker import Broker
from shared.contracts.sizes import KIB
from shared.contracts.work import Progress
from shared.eventstore import EventStore
from shared.http.channel import MAX_BYTES, MAX_FRAMES
from shared.stopping import stop
from tests.support.apps.client import ALICE
from tests.support.apps.generation import FOXES, Api, created
from tests.support.patience import eventually
from tests.support.tokens import TokenIssuer

ROW = 400 * 1024
MANY = 50
INSERT = "insert into job_events_v3 (position, job_id, event, data) values (%s, %s, 'node_completed', %s)"


async def insert(store: EventStore, job_id: UUID, positions: range, size: int = ROW) -> list[int]:
    """Rows as the projector writes and announces them; their positions."""
    data = msgspec.json.encode({"outputs": "x" * size}).decode()
    async with store.pool.connection() as connection:
        for position in positions:
            await connection.execute(INSERT, (position, job_id, data))
    store.watermarks.observe(JOB_EVENTS.watermark, positions[-1])
    return list(positions)


@contextlib.asynccontextmanager
async def running(hub: JobEventHub) -> AsyncIterator[JobEventHub]:
    task = asyncio.create_task(hub.run())
    try:
        yield hub
    finally:
        await stop(task)


@pytest_asyncio.fixture
async def hub(api: Api) -> AsyncIterator[JobEventHub]:
    async with running(JobEventHub(api.store, Broker("nats://nobody", "unused"))) as started:
        yield started


async def told(follower: Follower, last: int) -> list[list[JobEvent]]:
    """The events of each call, up to a position."""
    turns: list[list[JobEvent]] = []
    while not turns or turns[-1][-1].id != last:
        turns.append(await follower.next(60))
    return turns


def positions(turns: list[list[JobEvent]]) -> list[int | None]:
    return [event.id for turn in turns for event in turn]


async def test_a_long_history_comes_in_pages_of_so_many_bytes(api: Api, hub: JobEventHub) -> None:
    """And its end with them."""
    job_id = uuid4()
    rows = await insert(api.store, job_id, range(1, 41))
    async with hub.follow(job_id) as follower:
        turns = await told(follower, 40)
    assert positions(turns) == rows
    assert {len(event.data["outputs"]) for turn in turns for event in turn} == {ROW}
    sizes = [sum(len(event.json) for event in turn) for turn in turns]
    assert [size <= PAGE_BYTES + ROW + 100 for size in sizes] == [True] * len(turns)
    assert len(turns) == 4


async def test_one_that_is_slow_reads_the_table_instead_of_being_kept_for(api: Api, hub: JobEventHub) -> None:
    job_id = uuid4()
    async with hub.follow(job_id) as follower, hub.follow(job_id) as other:
        first = await insert(api.store, job_id, range(1, 2), 1000)
        assert positions(await told(follower, 1)) == first
        rows = await insert(api.store, job_id, range(2, 12), 60_000)
        assert positions(await told(other, 11)) == [*first, *rows]
        assert 0 < hub.kept_bytes(job_id) <= MAX_BYTES, "what fits is kept"
        assert positions(await told(follower, 11)) == rows


async def test_a_row_that_is_larger_than_what_is_kept_is_told(api: Api, hub: JobEventHub) -> None:
    """And kept alone, until the next one."""
    job_id = uuid4()
    async with hub.follow(job_id) as follower:
        await insert(api.store, job_id, range(1, 2), size=10)
        await told(follower, 1)
        await insert(api.store, job_id, range(2, 3), size=MAX_BYTES)
        assert positions(await told(follower, 2)) == [2]
        await insert(api.store, job_id, range(3, 4), size=10)
        assert positions(await told(follower, 3)) == [3]
        assert hub.kept_bytes(job_id) < 1000


async def test_progress_is_kept_of_so_many_steps_and_characters(api: Api, nats_url: str) -> None:
    job_id = uuid4()
    async with (
        connected_hub(api, nats_url) as (hub, broker),
        hub.follow(job_id, after=2**62, progress=True) as follower,
    ):
        client = await broker.client()
        for number in range(MAX_FRAMES + 50):
            progress = Progress(job_id, uuid4(), UUID(int=number), 1, 0.5, "m" * 100_000)
            await client.publish(f"progress.{job_id}.g.{number}", msgspec.json.encode(progress))
        await eventually(lambda: client.stats["in_msgs"] >= MAX_FRAMES + 50, "all to have come")
        await client.flush()  # the answer comes behind them, when all of them were handed to the hub
        news = await follower.next(60)
    assert [UUID(new.data["sid"]).int for new in news] == list(range(50, MAX_FRAMES + 50))
    assert {len(new.data["message"]) for new in news} == {MAX_PROGRESS_MESSAGE}


@contextlib.asynccontextmanager
async def connected_hub(api: Api, nats_url: str) -> AsyncIterator[tuple[JobEventHub, Broker]]:
    broker = Broker(nats_url, "followers")
    connection = asyncio.create_task(broker.run())
    try:
        await broker.client()
        async with running(JobEventHub(api.store, broker)) as hub:
            await eventually(lambda: hub._read_to is not None, "it knows where the table ends")
            yield hub, broker
    finally:
        await stop(connection)


async def test_many_followers_share_one_subscription_one_encoding_and_one_reading(
    api: Api, nats_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All get the same bytes, which are in memory once."""
    job_id, encoded, subscribed = uuid4(), list[int](), list[str]()

    def counted(position: int, event: str, data: str) -> JobEvent:
        encoded.append(position)
        return recorded_event(position, event, data)

    recorded_event = feed.recorded_event
    monkeypatch.setattr(feed, "recorded_event", counted)
    async with connected_hub(api, nats_url) as (hub, broker), contextlib.AsyncExitStack() as stack:
        client = await broker.client()
        subscribe = client.subscribe

        async def noted(subject: str, **more: Any) -> Any:
            subscribed.append(subject)
            return await subscribe(subject, **more)

        monkeypatch.setattr(client, "subscribe", noted)
        await insert(api.store, job_id, range(1, 4), 10)
        entering = (stack.enter_async_context(hub.follow(job_id, progress=True)) for _ in range(MANY))
        followers = await asyncio.gather(*entering)
        first = await asyncio.gather(*(told(follower, 3) for follower in followers))
        assert encoded == [1, 2, 3], "what all read, is read once"
        late = await stack.enter_async_context(hub.follow(job_id))
        assert positions(await told(late, 3)) == [1, 2, 3]
        await insert(api.store, job_id, range(4, 6), 10)
        then = await asyncio.gather(*(told(follower, 5) for follower in followers))
        assert encoded == [1, 2, 3, 4, 5], "and the channel has it, for who comes later"
        before = client.stats["in_msgs"]
        progress = Progress(job_id, uuid4(), uuid4(), 1, 0.5, "half")
        await client.publish(f"progress.{job_id}.g.s", msgspec.json.encode(progress))
        arrivals = await asyncio.gather(*(follower.next(60) for follower in followers))
        assert client.stats["in_msgs"] == before + 1
        assert subscribed == [f"progress.{job_id}.>"]
    for turns in (first, then, [[news] for news in arrivals]):
        for number, frame in enumerate(event for turn in turns[0] for event in turn):
            assert all([event for turn in item for event in turn][number].encoded is frame.encoded for item in turns)


async def test_a_follower_misses_nothing_where_reading_and_telling_meet(api: Api, hub: JobEventHub) -> None:
    """Whenever it comes while rows are added: each once, in order."""
    job_id, stranger = uuid4(), uuid4()
    followers: list[asyncio.Task[list[list[JobEvent]]]] = []

    async def follow() -> list[list[JobEvent]]:
        async with hub.follow(job_id) as follower:
            return await told(follower, 400)

    for number in range(1, 401, 2):
        await insert(api.store, stranger, range(number, number + 1), 1000)
        await insert(api.store, job_id, range(number + 1, number + 2), 1000)
        if number % 20 == 1:
            followers.append(asyncio.create_task(follow()))
    for turns in await asyncio.gather(*followers):
        assert positions(turns) == list(range(2, 401, 2))


async def test_a_stream_says_behind_which_id_it_begins(
    api: Api, issuer: TokenIssuer, collections: Any, credits_: Any, worker_: Any
) -> None:
    """For the edge, which gives one stream to all who follow a job; an id that there is not means none."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    first = (await api.told(job_id))[0].id
    url = f"{api.url}/jobs/{job_id}/events"
    async with aiohttp.ClientSession(headers=issuer.bearer(ALICE)) as session:
        for last_id, begins in (("0", "0"), (str(first), str(first)), ("999999999", "0")):
            async with session.get(url, headers={"Last-Event-ID": last_id}) as response:
                assert response.headers["Emprops-Stream-After"] == begins


async def test_a_stream_takes_little_memory(api: Api, issuer: TokenIssuer, collections: Any, credits_: Any) -> None:
    """Of Python's, at the service and at its client, which share this process."""
    job_id = (await api.generate(await created(collections, FOXES), generations=1)).data["job_id"]
    host, _, port = api.url.removeprefix("http://").partition(":")
    authorization = f"Authorization: {issuer.bearer(ALICE)['Authorization']}"
    request = f"GET /jobs/{job_id}/events HTTP/1.1\r\nHost: generation\r\n{authorization}\r\n\r\n".encode()
    opened: list[asyncio.StreamWriter] = []

    async def follow() -> None:
        while True:
            reader, writer = await asyncio.open_connection(host, int(port))
            opened.append(writer)
            writer.write(request)
            if b" 503 " not in await reader.readline():  # the job is not shown yet, on a busy machine
                break
        await reader.readuntil(b'"status":"processing"')

    await follow()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(4):
            await asyncio.gather(*(follow() for _ in range(MANY)))
        gc.collect()
        assert (tracemalloc.get_traced_memory()[0] - before) / (4 * MANY) < 40 * KIB
    finally:
        tracemalloc.stop()
        for writer in opened:
            writer.close()
