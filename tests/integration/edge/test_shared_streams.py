"""Followers of one job through the edge share one stream of the service, and each gets every event once."""

import asyncio
import contextlib
import gc
import random
import tracemalloc
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import aiohttp
import pytest

from shared.contracts.sizes import KIB
from shared.http.channel import BYTES_PER_SUBSCRIBER, MAX_FRAMES
from tests.support.edge_client import EdgeClient
from tests.support.patience import eventually
from tests.support.upstream import Exchange, UpstreamStub

Services = dict[str, UpstreamStub]
MANY = 100
USER = UUID(int=1)
JOB = "/jobs/1/events"


class Job:
    """A job's events as the generation service streams them: what was recorded, and what comes."""

    def __init__(self, service: UpstreamStub) -> None:
        self.service = service
        self.ids: list[int] = []
        self.size = 10
        self.data: bytes | None = None
        """Of each event; None: `size` bytes."""
        self.over = self.broken = False
        self.open = 0
        self._changed = asyncio.Event()
        service.answer = self.answer

    def tell(self, *ids: int, over: bool = False) -> None:
        self.ids += ids
        self.over = over
        self._wake()

    def break_off(self) -> None:
        self.broken = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def answer(self, exchange: Exchange) -> None:
        after = int(exchange.headers.get("last-event-id", "0"))
        after = after if after <= max(self.ids, default=0) else 0
        await exchange.start(content_type="text/event-stream", emprops_stream_after=str(after))
        await exchange.write(b"retry: 1000\n\n")
        if after < int(exchange.headers.get("last-event-id", "0")):
            await exchange.write(b"event: gap\ndata: {}\n\n")
        self.open += 1
        left = asyncio.create_task(_left(exchange))
        try:
            while not left.done():
                changed = asyncio.create_task(self._changed.wait())
                over = self.over  # before the ids are read: more may come while these are written
                for number in [number for number in self.ids if number > after]:
                    await exchange.write(frame(number, self.size, self.data))
                    after = number
                if self.broken:
                    raise ConnectionError("broken off")
                if over:
                    await exchange.write(b"", more=False)
                    return
                await asyncio.wait([changed, left], return_when=asyncio.FIRST_COMPLETED)
                changed.cancel()
        finally:
            self.open -= 1
            left.cancel()


async def _left(exchange: Exchange) -> None:
    while (await exchange.receive())["type"] != "http.disconnect":
        pass


def frame(number: int, size: int = 10, data: bytes | None = None) -> bytes:
    return b"id: %d\nevent: job_status\ndata: %s\n\n" % (number, data or b"x" * size)


@pytest.fixture
def job(services: Services) -> Job:
    return Job(services["generation"])


@contextlib.asynccontextmanager
async def following(edge: EdgeClient, after: int = 0) -> AsyncIterator[aiohttp.ClientResponse]:
    headers = {**edge.issuer.bearer(USER), **({"Last-Event-ID": str(after)} if after else {})}
    async with edge.request("GET", JOB, headers=headers, timeout=aiohttp.ClientTimeout(total=None)) as response:
        assert (response.status, response.content_type) == (200, "text/event-stream")
        assert "emprops-stream-after" not in response.headers
        yield response


async def ids(response: aiohttp.ClientResponse, until: int | None = None) -> list[int]:
    """Of the events that come, up to one of them or to the end."""
    numbers: list[int] = []
    async for line in response.content:
        if line.startswith(b"id: "):
            numbers.append(int(line[4:]))
            if numbers[-1] == until:
                break
    return numbers


async def test_many_followers_share_one_stream(edge: EdgeClient, job: Job) -> None:
    """From before the first event, or from the middle: one request at the service, and the same for all."""
    async with contextlib.AsyncExitStack() as stack:

        async def follow(after: int) -> aiohttp.ClientResponse:
            return await stack.enter_async_context(following(edge, after))

        early = await asyncio.gather(*(follow(0) for _ in range(MANY)))
        job.tell(1, 2, 3)
        assert await ids(early[0], 3) == [1, 2, 3]
        late = await asyncio.gather(*(follow(number % 4) for number in range(MANY)))
        job.tell(*range(4, 100), over=True)
        assert await ids(early.pop(0)) == list(range(4, 100))
        assert await asyncio.gather(*map(ids, early)) == [list(range(1, 100))] * len(early)
        assert await asyncio.gather(*map(ids, late)) == [list(range(number % 4 + 1, 100)) for number in range(MANY)]
    assert len(job.service.requests) == 1


async def test_a_stream_takes_little_memory(edge: EdgeClient, job: Job) -> None:
    """Of Python's, at the edge and at its client, which share this process; buffers of the system come on top."""
    host, _, port = edge.url.removeprefix("http://").partition(":")
    request = f"GET {JOB} HTTP/1.1\r\nHost: edge\r\nAuthorization: {edge.issuer.bearer(USER)['Authorization']}\r\n\r\n"
    opened: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def follow() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        opened.append((reader, writer))
        writer.write(request.encode())
        await reader.readuntil(b"retry: 1000\n\n")

    await follow()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(3):
            await asyncio.gather(*(follow() for _ in range(MANY)))
        job.tell(*range(1, 201))
        await asyncio.gather(*(reader.readuntil(b"id: 200\n") for reader, _ in opened))
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
        job.tell(over=True)
        for _, writer in opened:
            writer.close()
    assert grown / (3 * MANY) < 40 * KIB, "what is kept for all of them counted in"
    assert len(job.service.requests) == 1


async def test_the_first_may_leave_and_the_last_ends_the_stream(edge: EdgeClient, job: Job) -> None:
    async with following(edge) as second:
        async with following(edge) as first:
            job.tell(1)
            assert await ids(first, 1) == await ids(second, 1) == [1]
        job.tell(2)
        assert await ids(second, 2) == [2]
        assert (job.open, len(job.service.requests)) == (1, 1)
    await eventually(lambda: job.open == 0, "the stream to be left")


async def test_who_is_further_behind_gets_a_stream_of_its_own_until_it_has_come_so_far(
    edge: EdgeClient, job: Job
) -> None:
    """Then it shares the one of all."""
    async with following(edge) as first:
        job.tell(*range(1, 3 * MAX_FRAMES))
        assert len(await ids(first, 3 * MAX_FRAMES - 1)) == 3 * MAX_FRAMES - 1
        async with following(edge, 5) as second:
            assert await ids(second, 3 * MAX_FRAMES - 1) == list(range(6, 3 * MAX_FRAMES))
            assert len(job.service.requests) == 2
            await eventually(lambda: job.open == 1, "its own stream to be closed")
            job.tell(10_000, over=True)
            assert await ids(first) == await ids(second) == [10_000]


async def test_one_that_is_too_slow_misses_nothing(edge: EdgeClient, job: Job) -> None:
    """While others go on: what is kept for it is bounded, and the rest comes from the service."""
    job.size = 4 * BYTES_PER_SUBSCRIBER
    many = 400  # more than the kernel's buffers of both connections hold
    async with following(edge) as slow, following(edge) as fast:
        for number in range(1, many):
            job.tell(number)
            assert await ids(fast, number) == [number]
        job.tell(many, over=True)
        assert await ids(fast) == [many]
        assert await ids(slow) == list(range(1, many + 1))
        assert len(job.service.requests) > 1


async def test_a_user_shares_no_other_users_stream(edge: EdgeClient, job: Job) -> None:
    """The service decides for each; and for each token of one user the edge does."""
    async with following(edge):
        stranger = edge.issuer.bearer(uuid4())

        async def refuse(exchange: Exchange) -> None:
            await exchange.answer(b'{"code": "NOT_FOUND"}', 404)

        job.service.answer = refuse
        assert await edge.json("GET", JOB, headers=stranger) == (404, {"code": "NOT_FOUND"})
        assert (await edge.json("GET", JOB, anonymous=True))[0] == 401
        assert len(job.service.requests) == 2


async def test_an_id_that_only_the_service_can_judge_is_judged_there(edge: EdgeClient, job: Job) -> None:
    """For an id that was not sent yet: the events after it, or all events if there is no such id."""
    async with following(edge) as first:
        job.tell(1, 2)
        await ids(first, 2)
        async with following(edge, 1_000) as lost:
            assert [await lost.content.readline() for _ in range(4)][2:] == [
                b"event: gap\n",
                b'data: {"after": 1000}\n',
            ]
            assert await ids(lost, 2) == [1, 2]
        job.ids.append(3)
        async with following(edge, 3) as ahead:
            job.tell(4, over=True)
            assert await ids(ahead) == [4]
        assert await ids(first) == [3, 4]


async def test_a_stream_that_breaks_off_is_cut_for_all(edge: EdgeClient, job: Job) -> None:
    """It does not look as if the job had ended."""
    async with following(edge) as first, following(edge) as second:
        job.tell(1)
        assert await ids(first, 1) == await ids(second, 1) == [1]
        job.break_off()
        for response in (first, second):
            with pytest.raises(aiohttp.ClientPayloadError):
                await response.read()


async def test_followers_that_come_and_go_get_every_event_once(edge: EdgeClient, job: Job) -> None:
    """Each comes again with the id that it saw last, at any moment of the stream."""
    last, chance = 600, random.Random(7)
    job.size = 500

    async def come_and_go() -> list[int]:
        numbers: list[int] = []
        while numbers[-1:] != [last]:
            async with following(edge, numbers[-1] if numbers else 0) as response:
                leaves_after = chance.randint(1, 200)
                async for line in response.content:
                    if line.startswith(b"id: "):
                        numbers.append(int(line[4:]))
                        leaves_after -= 1
                        if not leaves_after or numbers[-1] == last:
                            break
        return numbers

    async with following(edge) as steady:
        followers = [asyncio.create_task(come_and_go()) for _ in range(20)]
        for number in range(1, last + 1):
            job.tell(number)
            await ids(steady, number)
        assert await asyncio.gather(*followers) == [list(range(1, last + 1))] * 20
    await eventually(lambda: job.open == 0, "every stream to be left")
