"""A process that writes and tails: `python -m … DSN STREAMS TOTAL` prints the events that it tailed, as JSON."""

import asyncio
import json
import sys
from uuid import uuid4

from shared.eventstore import EventStore
from tests.integration.eventstore.tally import CODEC, context, counted

EVENTS_PER_STREAM = 8


async def main(dsn: str, streams: int, total: int) -> None:
    """Appends to its streams, and tails until it has read `total` events of all processes."""
    async with EventStore.open(dsn, CODEC) as store:

        async def write() -> None:
            stream = uuid4()
            for version in range(0, EVENTS_PER_STREAM, 2):
                await store.append(counted(stream, version, version, version + 1), context())

        async def tail() -> list[tuple[int, str, int]]:
            tailed: list[tuple[int, str, int]] = []
            async for batch in store.tail(0, limit=50):
                tailed += [(event.position, str(event.stream_id), event.version) for event in batch.events]
                if len(tailed) >= total:
                    break
            return tailed

        tailed, *_ = await asyncio.gather(tail(), *(write() for _ in range(streams)))
    print(json.dumps(tailed))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
