"""Reads events newer than the cached versions of streams, with one query for all concurrent callers.

Under load, most of a read's time is its query, which nearly always returns nothing. A caller that arrives during a
query waits for the next one, which starts after SLOW_AFTER seconds at the latest. That one starts after the call, so it
sees everything that was recorded before the call.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import LiteralString, NamedTuple
from uuid import UUID

from shared.eventstore.append_statement import Row
from shared.eventstore.arrays import BinaryArray, int8s, uuids

MAX_EVENTS = 8
"""If a stream has so many newer events, or more, its callers read it with their own queries."""
MAX_STREAMS = 256
"""Streams in one query; a request for two may exceed it by one."""
MAX_BYTES = 2 * 1024 * 1024
"""With more bytes of newer events, each caller reads with its own query."""
SLOW_AFTER = 0.1
"""Seconds after which the next query no longer waits for the previous one: its connection may be silent."""

# `lateral` with its limit makes PostgreSQL use the index for each stream, whatever number of rows it estimates.
# %b: BinaryArray has only a binary form.
SELECT_NEWER = """
select position, event_id, stream_id, version, type, data, metadata, recorded_at, total from (
  select newer.*, count(*) over () as total, sum(octet_length(data) + octet_length(metadata))
    over (order by position rows between unbounded preceding and 1 preceding) as before
  from unnest(%b::uuid[], %b::bigint[]) as cached(stream_id, version) cross join lateral (
    select * from events where stream_id = cached.stream_id and version > cached.version order by version limit %b
  ) newer
) bounded where before is null or before < %b order by position"""


class StreamVersion(NamedTuple):
    """A stream, and the version of it that is in the cache."""

    stream_id: UUID
    version: int


Result = list[list[Row]] | None
"""The newer events of each stream, in order; None when they are too many for a shared query."""


class _Request(NamedTuple):
    streams: Sequence[StreamVersion]
    result: "asyncio.Future[Result]"


class NewerEvents:
    """Shares one query between all callers that wait at the same time."""

    def __init__(self, query: Callable[[LiteralString, Sequence[object]], Awaitable[list[Row]]]) -> None:
        self._query = query
        self._waiting: list[_Request] = []
        self._may_start = True
        """Whether a new request starts a query at once: none is running, or only one for longer than SLOW_AFTER."""
        self.tasks: set[asyncio.Task[None]] = set()

    async def than(self, *streams: StreamVersion) -> Result:
        """The newer events of each stream, in order; None when they are too many for this. Raises StoreUnavailable."""
        request = _Request(streams, asyncio.get_running_loop().create_future())
        self._waiting.append(request)
        if self._may_start:
            self._start()
        return await request.result

    def _start(self) -> None:
        """Starts a query for the requests that wait; if there are none, the next request starts it."""
        self._may_start = not self._waiting
        if self._waiting:
            task = asyncio.create_task(self._answer())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _answer(self) -> None:
        requests = self._next_requests()
        timer = asyncio.get_running_loop().call_later(SLOW_AFTER, self._start)
        try:
            newer = await self._read(requests)
        except BaseException as error:
            for request in requests:
                if isinstance(error, Exception) and not request.result.done():
                    request.result.set_exception(error)
                request.result.cancel()
            if not isinstance(error, Exception):
                raise
        else:
            for request in requests:
                if not request.result.done():
                    request.result.set_result(_result(request.streams, newer))
        finally:
            if timer.when() > asyncio.get_running_loop().time():
                timer.cancel()
                self._start()

    def _next_requests(self) -> list[_Request]:
        count, streams = 0, 0
        while count < len(self._waiting) and streams < MAX_STREAMS:
            streams += len(self._waiting[count].streams)
            count += 1
        requests, self._waiting = self._waiting[:count], self._waiting[count:]
        return requests

    async def _read(self, requests: Sequence[_Request]) -> dict[UUID, list[Row]] | None:
        """Newer events by stream; None when MAX_BYTES does not include all of them."""
        versions: dict[UUID, int] = {}
        for stream_id, version in (stream for request in requests for stream in request.streams):
            versions[stream_id] = min(version, versions.get(stream_id, version))
        parameters: list[BinaryArray | int] = [
            uuids(list(versions)),
            int8s(list(versions.values())),
            MAX_EVENTS,
            MAX_BYTES,
        ]
        rows = await self._query(SELECT_NEWER, parameters)
        if rows and rows[0][-1] > len(rows):
            return None
        newer: defaultdict[UUID, list[Row]] = defaultdict(list)
        for row in rows:
            newer[row[2]].append(row[:-1])
        return newer


def _result(streams: Sequence[StreamVersion], newer: dict[UUID, list[Row]] | None) -> Result:
    if newer is None:
        return None
    by_stream = [newer.get(stream_id, []) for stream_id, _ in streams]
    if any(len(rows) >= MAX_EVENTS for rows in by_stream):
        return None
    return [[row for row in rows if row[3] > version] for rows, (_, version) in zip(by_stream, streams, strict=True)]
