"""Reading another service's stream: every message, in order and without a gap, through failures of any kind.

Reading is done in rounds. Each round makes an ordered consumer that begins after the service's checkpoint. It has no
acknowledgements, because the service's own database has the checkpoint, and it is not durable, because it has no state
that must be kept. JetStream numbers its deliveries. A missing number, silence, a lost connection or any other failure
ends the round, and the next one begins after the last message that was received.

Why not FastStream's subscriber: docs/explanation/decisions/0019-faststream-writes-the-document.md.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import Protocol

import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, ConsumerInfo, DeliverPolicy, StreamInfo
from nats.js.errors import NotFoundError

from shared.backoff import Backoff
from shared.contracts.consumers import ORDERED_SUFFIX
from shared.handling.window import Window
from shared.messaging.connection import SELDOM, connected
from shared.messaging.consumer_checkpoints import HistoryPoint
from shared.messaging.message_search import locate
from shared.messaging.pulling import Ended, Pull, PullSettings, Silent
from shared.messaging.streams import stream_name
from shared.messaging.unreadable import API_TIMEOUT, UnreadableMessage, unreadable
from shared.stopping import run_until, stoppable

CONNECT_WITHIN = 5.0
"""Seconds for one attempt to connect."""
INACTIVE_THRESHOLD = 60.0
"""Seconds after which the server deletes an ordered consumer that is not pulled from."""
FAILURES = (nats.errors.Error, OSError)

log = structlog.get_logger()


class LostNats(Exception):  # noqa: N818 - what happened
    """This replica can't reach NATS; another replica may be able to."""


@dataclass(frozen=True)
class SubscriptionSettings:
    """How much a consumer takes at once, and when it gives up."""

    max_in_flight: int = 256
    """Events in flight: the bound of parallel work."""
    max_bytes: int = 32 * 1024 * 1024
    """Bytes of all unsettled messages, with those that wait for a retry."""
    pull: PullSettings = field(default_factory=PullSettings)
    give_up_after: float = 10.0
    """Seconds without a reply from NATS after which this replica releases its lease."""


class Follower(Protocol):
    """What a subscription delivers its messages to."""

    @property
    def window(self) -> Window:
        """The room for more messages."""

    @property
    def last(self) -> HistoryPoint | None:
        """The last message of the owner's relay that was received, in this process or before."""

    def start_round(self, *, is_replay: bool) -> None:
        """A round begins after `last`, or (`is_replay`) at the first message: those up to `last` come again."""

    def round_started(self, sequence: int) -> None:
        """A round has started: messages up to this sequence came in earlier rounds, or are not for this consumer."""

    def receive(self, message: Msg) -> None:
        """Takes one message; it must not block."""

    def receive_unreadable(self, message: UnreadableMessage) -> None:
        """Takes a message that no client can receive; it must not block."""


def ordered_name(consumer: str) -> str:
    """The name of this consumer on the broker."""
    return consumer + ORDERED_SUFFIX


def settled_name(consumer: str, info: ConsumerInfo) -> str:
    """The name of the watermark for the sequence up to which a consumer has settled the deliveries of one round.

    Each round (`info`) has its own, because sequences begin again when a stream is created again.
    """
    return f"settled:{consumer}@{info.created.timestamp():.6f}"


def deliveries_name(settled: str) -> str:
    """The name of the watermark for the number of settled deliveries of that round.

    The server's `delivered.stream_seq` also counts messages that are not for the consumer, so it can't be compared.
    """
    return f"{settled}#"


class Subscription:
    """A consumer's connection to its owner's stream."""

    def __init__(
        self, owner: str, name: str, subjects: list[str], nats_url: str, settings: SubscriptionSettings
    ) -> None:
        self.owner, self.name, self.subjects, self.settings = owner, name, subjects, settings
        self._url = nats_url
        self.rounds = 0
        self.settled_name = ""
        """The `settled_name` of the present round."""
        self.pending = 0
        """How many messages were not delivered yet when the last one came."""
        self.trouble: str | None = None
        self.since = 0.0
        """The event loop's time of the last answer from NATS."""
        self._expected = self._sequence = 0
        self._broke = False
        self._passed_over = 0

    async def run(self, follower: Follower) -> None:
        """Delivers every message to the follower, in order, until it is cancelled or raises LostNats."""
        backoff = Backoff(f"consumer {self.name}", on=(*FAILURES, NotFoundError), longest=1.0)
        self._passed_over, self._broke = 0, False
        self._note_reply()
        while True:
            try:
                await stoppable(self._round(follower))
            except (*FAILURES, NotFoundError) as error:
                self._broke = self._broke or isinstance(error, (Silent, Ended))
                if isinstance(error, NotFoundError):
                    self._note_reply()  # its owner has no stream yet
                elif not isinstance(error, Ended):
                    self.trouble = repr(error)
                if self._now() - self.since > self.settings.give_up_after:
                    raise LostNats(self.trouble) from error
                await backoff.pause(error)

    async def _round(self, follower: Follower) -> None:
        lost = asyncio.Event()
        async with connected(self._url, self.name, lost, within=CONNECT_WITHIN, ping_every=SELDOM) as client:
            await run_until(lost, self._consume(client, follower))
        raise Ended("the connection broke")

    async def _consume(self, client: Client, follower: Follower) -> None:
        js, stream = client.jetstream(timeout=API_TIMEOUT), stream_name(self.owner)
        info = await js.stream_info(stream)
        self._note_reply()
        if self._broke:
            await self._step_over(client, follower)
            self._broke = False
        start = await self._start(client, js, info, follower)
        with contextlib.suppress(NotFoundError):
            await js.delete_consumer(stream, ordered_name(self.name))
        consumer = await js.add_consumer(stream, self._config(start))
        self._expected, self._sequence, self.pending = 1, start - 1, consumer.num_pending or 0
        self.rounds += 1
        self.settled_name = settled_name(self.name, consumer)
        follower.round_started(start - 1)
        log.info("consumer_subscribed", consumer=self.name, start=start, pending=self.pending)
        pull = Pull(
            client,
            stream,
            ordered_name(self.name),
            follower.window,
            lambda message: self._deliver(message, follower),
            self.settings.pull,
        )
        pull.heartbeats = self._heartbeat
        await pull.run()

    def _config(self, start: int) -> ConsumerConfig:
        return ConsumerConfig(
            name=ordered_name(self.name),
            filter_subjects=self.subjects,
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=start,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=INACTIVE_THRESHOLD,
            mem_storage=True,
            num_replicas=1,
        )

    async def _start(self, client: Client, js: JetStreamContext, info: StreamInfo, follower: Follower) -> int:
        """The sequence at which this round begins."""
        mark = follower.last
        last = await locate(js, self.owner, info.state, mark) if mark else 0
        follower.start_round(is_replay=last is None)
        if last is None:
            log.warning("consumer_begins_again", consumer=self.name, settled=str(mark))
        elif last and info.state.first_seq > last + 1:
            log.error("consumer_may_have_missed", consumer=self.name, after=last, first=info.state.first_seq)
        start = (last or 0) + 1
        if self._passed_over >= start:
            there = await unreadable(client, stream_name(self.owner), self.subjects, self._passed_over - 1)
            start = self._passed_over + 1 if there and there.sequence == self._passed_over else start
        return start

    async def _step_over(self, client: Client, follower: Follower) -> None:
        """Skips the next message if nats-py's read loop can't read it, which ended the last connection.

        Either the pull or nats-py's pings may notice that first, so this is called after both kinds of failure.
        """
        message = await unreadable(client, stream_name(self.owner), self.subjects, self._sequence)
        if message:
            log.error("consumer_steps_over_unreadable", consumer=self.name, sequence=message.sequence)
            follower.receive_unreadable(message)
            self._passed_over = message.sequence

    def _deliver(self, message: Msg, follower: Follower) -> None:
        at = message.metadata
        if at.sequence.consumer != self._expected:
            raise Ended(f"delivery {self._expected} is missing: {at.sequence.consumer} came")
        self._expected += 1
        self._note_reply()
        follower.receive(message)
        self._sequence, self.pending = at.sequence.stream, at.num_pending

    def _heartbeat(self, last: int) -> None:
        self._note_reply()
        self.pending = 0
        if last >= self._expected:
            raise Ended(f"delivery {self._expected} is missing: the server has made {last}")

    def _note_reply(self) -> None:
        self.since, self.trouble = self._now(), None

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
