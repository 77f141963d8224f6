"""How far a service has handled the events of other services. Any replica can wait until it has reached a position.

A look reads the stream's last message and each consumer's last delivery from the broker, and compares them with the
watermarks up to which the consumer's leader has settled its messages. All waiters of a process share one look at a
time, so a thousand waiters cause no more requests to the broker than one, and no query of the database.
"""

import asyncio
import math
from collections import defaultdict, deque
from collections.abc import Iterable

import nats.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from shared.backoff import Backoff
from shared.eventstore.watermarks import Watermarks
from shared.messaging.connection import SELDOM, close, connect
from shared.messaging.consumer import Consumer
from shared.messaging.streams import stream_name
from shared.messaging.subscription import deliveries_name, ordered_name, settled_name
from shared.stopping import stoppable

LOOK_TIMEOUT = 1.0
"""Seconds for which a look waits for the broker; if that does not answer, no event counts as arrived."""
FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.2
"""Seconds between two looks of a waiter; they double."""

EpochPosition = tuple[int, int]
"""An epoch of the owner's store and a position in it, compared in this order."""
BEFORE_FIRST: EpochPosition = (0, 0)
MAX_AHEAD = 64
"""Last messages that are remembered until the consumers have settled them."""

log = structlog.get_logger()


class Arrivals:
    """Waits for a service's consumers; one per process."""

    def __init__(self, service: str, nats_url: str, watermarks: Watermarks) -> None:
        self._service, self._url, self._watermarks = service, nats_url, watermarks
        self._consumers: defaultdict[str, list[str]] = defaultdict(list)
        self._arrived: defaultdict[str, EpochPosition] = defaultdict(lambda: BEFORE_FIRST)
        self._ahead: defaultdict[str, deque[tuple[int, EpochPosition]]] = defaultdict(lambda: deque(maxlen=MAX_AHEAD))
        """Last messages seen that are not settled yet: their sequence in the stream, their epoch and position."""
        self._looks: dict[str, asyncio.Task[EpochPosition | None]] = {}
        self._client: Client | None = None

    def watch(self, consumers: Iterable[Consumer]) -> None:
        """Adds the consumers of this service."""
        for consumer in consumers:
            self._consumers[consumer.owner].append(consumer.name)

    async def run(self) -> None:
        """Keeps a connection to the broker open until cancelled."""
        if not self._consumers:
            await asyncio.Event().wait()
        await stoppable(self._keep())

    async def _keep(self) -> None:
        self._client = await connect(self._url, f"{self._service}-arrivals", ping_every=SELDOM)
        try:
            await asyncio.Event().wait()
        finally:
            client, self._client = self._client, None
            await close(client)

    async def wait(self, owner: str, place: EpochPosition, within: float) -> bool:
        """Waits until all events up to `place` in the owner's history are settled; False after `within` seconds."""
        loop = asyncio.get_running_loop()
        until, pauses = loop.time() + within, Backoff(f"arrivals of {owner}", first=FIRST_PAUSE, longest=LONGEST_PAUSE)
        while self._arrived[owner] < place:
            if loop.time() >= until:
                return False
            await self._look(owner)
            if self._arrived[owner] < place:
                pauses.failures += 1
                await asyncio.sleep(min(pauses.next_pause(), max(until - loop.time(), 0)))
        return True

    async def wait_for_now(self, owner: str, within: float) -> bool:
        """Waits until all events that are published by now are settled; False after `within` seconds."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within
        now = await self._look(owner)
        return now is not None and await self.wait(owner, now, until - loop.time())

    async def _look(self, owner: str) -> EpochPosition | None:
        """The last published position, by a look that begins after this call; None if the broker does not answer."""
        running = self._looks.get(owner)
        if running is not None and not running.done():
            await asyncio.wait((running,))  # it began before this call
        running = self._looks.get(owner)
        if running is None or running.done():
            running = self._looks[owner] = asyncio.create_task(self._ask(owner))
        await asyncio.wait((running,))
        return running.result()

    async def _ask(self, owner: str) -> EpochPosition | None:
        client = self._client
        if client is None or not client.is_connected:
            return None
        js = client.jetstream(timeout=LOOK_TIMEOUT)
        try:
            async with asyncio.timeout(LOOK_TIMEOUT):
                sequence, place = await _last(js, owner)
                self._ahead[owner].append((sequence, place))
                done = [await self._done(js, owner, name) for name in self._consumers[owner]] if sequence else []
        except (nats.errors.Error, OSError, TimeoutError) as error:
            log.warning("arrivals_unknown", owner=owner, error=repr(error))
            return None
        ahead = self._ahead[owner]
        while ahead and ahead[0][0] <= min(done, default=sequence):
            self._arrived[owner] = max(self._arrived[owner], ahead.popleft()[1])
        return place

    async def _done(self, js: JetStreamContext, owner: str, consumer: str) -> float:
        """The stream sequence up to which a consumer has settled its messages; infinite if it has settled all."""
        try:
            info = await js.consumer_info(stream_name(owner), ordered_name(consumer))
        except NotFoundError:
            return 0  # no replica leads it yet
        name = settled_name(consumer, info)
        deliveries = (info.delivered.consumer_seq if info.delivered else 0) or 0
        if not info.num_pending and self._watermarks.value(deliveries_name(name)) >= deliveries:
            return math.inf
        return self._watermarks.value(name)


async def _last(js: JetStreamContext, owner: str) -> tuple[int, EpochPosition]:
    """The sequence of the stream's last message, and its event's epoch and position; BEFORE_FIRST if it is no event."""
    try:
        message = await js.get_last_msg(stream_name(owner), f"events.{owner}.>")
    except NotFoundError:
        return 0, BEFORE_FIRST
    headers = message.headers or {}
    try:
        place = int(headers.get("ce-epoch", "1")), int(headers["ce-position"])
    except (KeyError, ValueError):
        place = BEFORE_FIRST  # not from the owner's relay
    return message.seq or 0, place
