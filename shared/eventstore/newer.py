"""Reads events newer than the cached versions of streams, with one query for all concurrent callers.

Under load, most of a read's time is its query, which nearly always finds nothing. A caller that arrives during a query
waits for the next one, which starts after its call: so it sees everything that was recorded before.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import LiteralString, NamedTuple
from uuid import UUID

from shared.eventstore.append_statement import Row
from shared.eventstore.arrays import BinaryArray, int8s, uuids

FEW = 8
"""Newer events of one stream that are read in this way. With more, each caller reads the stream with its own query."""
MOST_STREAMS = 256
"""Streams in one query."""
MOST_BYTES = 2 * 1024 * 1024
"""Bytes of newer events in one query. With more, each caller reads with its own query."""
SLOW = 0.1
"""Seconds after which the next query no longer waits for the one before: its connection may be silent."""

# `lateral` with its limit makes PostgreSQL look into the index of streams for each, however many it believes there are.
SELECT_NEWER = """
select position, event_id, stream_id, version, type, data, metadata, recorded_at, found from (
  select newer.*, count(*) over () as found, sum(octet_length(data) + octet_length(metadata))
    over (order by position rows between unbounded preceding and 1 preceding) as before
  from unnest(%b::uuid[], %b::bigint[]) as asked(stream_id, version) cross join lateral (
    select * from events where stream_id = asked.stream_id and version > asked.version order by version limit %b
  ) newer
) bounded where before is null or before < %b order by position"""


class Known(NamedTuple):
    """A stream, and the version up to which it is known."""

    stream_id: UUID
    version: int


Answer = list[list[Row]] | None


class _Asker(NamedTuple):
    known: Sequence[Known]
    answer: "asyncio.Future[Answer]"


class Newer:
    def __init__(self, rows: Callable[[LiteralString, Sequence[object]], Awaitable[list[Row]]]) -> None:
        self._rows = rows
        self._waiting: list[_Asker] = []
        self._may_begin = True
        """Whether who asks begins a query, and need not wait for one."""
        self.tasks: set[asyncio.Task[None]] = set()

    async def than(self, *known: Known) -> Answer:
        """The newer events of each stream, in order; None when they are too many for this. Raises StoreUnavailable."""
        asker = _Asker(known, asyncio.get_running_loop().create_future())
        self._waiting.append(asker)
        if self._may_begin:
            self._begin()
        return await asker.answer

    def _begin(self) -> None:
        """Begins a query for all who wait; without any, the next one who asks begins it."""
        self._may_begin = not self._waiting
        if self._waiting:
            task = asyncio.create_task(self._ask())
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _ask(self) -> None:
        asking = self._taken()
        slow = asyncio.get_running_loop().call_later(SLOW, self._begin)
        try:
            found = await self._found(asking)
        except BaseException as error:
            for each in asking:
                if isinstance(error, Exception) and not each.answer.done():
                    each.answer.set_exception(error)
                each.answer.cancel()
            if not isinstance(error, Exception):
                raise
        else:
            for each in asking:
                if not each.answer.done():
                    each.answer.set_result(_of(each.known, found))
        finally:
            if slow.when() > asyncio.get_running_loop().time():
                slow.cancel()
                self._begin()

    def _taken(self) -> list[_Asker]:
        taken, streams = 0, 0
        while taken < len(self._waiting) and streams < MOST_STREAMS:
            streams += len(self._waiting[taken].known)
            taken += 1
        asking, self._waiting = self._waiting[:taken], self._waiting[taken:]
        return asking

    async def _found(self, asking: Sequence[_Asker]) -> dict[UUID, list[Row]] | None:
        """Newer events by stream; None when there are too many to have them all."""
        versions: dict[UUID, int] = {}
        for stream_id, version in (known for each in asking for known in each.known):
            versions[stream_id] = min(version, versions.get(stream_id, version))
        asked: list[BinaryArray | int] = [uuids(list(versions)), int8s(list(versions.values())), FEW, MOST_BYTES]
        rows = await self._rows(SELECT_NEWER, asked)
        if rows and rows[0][-1] > len(rows):
            return None
        found: defaultdict[UUID, list[Row]] = defaultdict(list)
        for row in rows:
            found[row[2]].append(row[:-1])
        return found


def _of(known: Sequence[Known], found: dict[UUID, list[Row]] | None) -> Answer:
    if found is None:
        return None
    newer = [found.get(stream_id, []) for stream_id, _ in known]
    if any(len(rows) >= FEW for rows in newer):
        return None
    return [[row for row in rows if row[3] > version] for rows, (_, version) in zip(newer, known, strict=True)]
