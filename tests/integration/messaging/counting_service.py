"""A service to be killed: `python -m tests.integration.messaging.counting_service DSN NATS_URL NAME`.

It records what it handles in its own store, slowly, and prints `active` when it leads.
"""

import asyncio
import sys

from shared.eventstore import RecordedEvent
from tests.integration.messaging.support import COUNTER, opened, runner
from tests.support.patience import eventually

CONSUMER = "tests-v1"


async def main(dsn: str, nats_url: str) -> None:
    async with opened(dsn) as store:

        async def handle(recorded: RecordedEvent) -> None:
            event = recorded.event
            await asyncio.sleep(0.002)
            context = recorded.context.caused(recorded.event_id, CONSUMER)
            await store.handle(COUNTER, recorded.stream_id, lambda _: [event], context)

        consumer = runner(store, nats_url, handle)

        async def say_when_active() -> None:
            await eventually(lambda: consumer.active, "active", within=3600)
            sys.stdout.write("active\n")
            sys.stdout.flush()

        await asyncio.gather(consumer.run(), say_when_active())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
