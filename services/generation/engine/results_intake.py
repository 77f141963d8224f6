"""Results of workers: from the work queue `RESULTS` to the generations that wait for them.

A result is acknowledged when what follows from it is recorded, so it is never lost; it comes again when the answer to
that was lost, and changes nothing then. Order does not matter: every attempt has one result.
"""

import asyncio
import contextlib
from dataclasses import dataclass

import msgspec
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from services.generation.broker import ACK_TIMEOUT, TROUBLE, Broker, ensure_work_streams
from services.generation.engine.result_message import Malformed, read_result
from services.generation.handlers import Engine, NoSuchStep
from services.generation.stored_files import StoredFiles, UnknownFile, bare, names_files
from shared.backoff import Backoff
from shared.contracts.generation import StepError
from shared.contracts.work import RESULTS_STREAM, WorkResult
from shared.eventstore.lease import Lease, run_as_leader
from shared.eventstore.migrate import migrate
from shared.handling import parking
from shared.handling.delivery import Message
from shared.handling.parking import SCHEMA
from shared.handling.retry import RetrySettings, raise_if_cancelled, retry_database
from shared.handling.transient import is_transient
from shared.handling.window import Window
from shared.messaging.arrivals import Arrivals
from shared.messaging.connection import SELDOM, connected
from shared.messaging.pulling import Ended, Pull, PullSettings, Silent, size_of
from shared.messaging.unreadable import first_unreadable
from shared.progress import Progress
from shared.stopping import Group, stoppable, unless

DURABLE = "generation-results-v1"
TAKERS = 256
"""Results that one process takes in at the same time: those that come together are recorded together."""
TAKEN_BYTES = 32 * 1024 * 1024
ACK_WAIT = 5.0
"""Seconds after which a result that a replica took and did not settle goes to another; twice is as good as once."""
LONGEST_PAUSE = 10.0
COMES_AGAIN = 2 * (LONGEST_PAUSE + ACK_WAIT)
"""Seconds within which a result that no replica could take has come to this one again."""
TRIES_WHILE_OTHERS_PASS = 10
DELIVERIES = 5
"""How often a result is tried that fails for a reason of its own, before it is parked."""

STORAGE = "storage"
FILE_DELIVERIES = 10
"""How often a result comes that names a file of which storage has not told: about a minute."""
ARRIVAL_WAIT = 2.0

CONSUMER = ConsumerConfig(
    durable_name=DURABLE, ack_policy=AckPolicy.EXPLICIT, ack_wait=ACK_WAIT, max_deliver=-1, max_ack_pending=1000
)

log = structlog.get_logger()


@dataclass
class Failing:
    """A result that did not go through yet. `since` and `last`, the latest try here, are the loop's time."""

    what: str
    since: float
    last: float
    error: str = ""
    while_others_passed: int = 0
    taken_before: int = 0


class ResultsIntake:
    """Takes results in until it is cancelled, through outages of NATS and PostgreSQL; replicas share the queue."""

    def __init__(self, engine: Engine, broker: Broker, files: StoredFiles, arrivals: Arrivals) -> None:
        self._engine, self._broker, self._files, self._arrivals = engine, broker, files, arrivals
        self.taken = 0
        self._window = Window(TAKERS, TAKEN_BYTES)
        self._failing: dict[int, Failing] = {}
        self._broke = False
        self._trouble: str | None = None
        self._trouble_since = 0.0

    async def run(self) -> None:
        await retry_database(lambda: migrate(self._engine.store.dsn, SCHEMA), DURABLE, RetrySettings())
        backoff = Backoff("results", on=(*TROUBLE, NotFoundError))
        async with Group() as tasks:
            tasks.create_task(run_as_leader(self._engine.store, f"parked:{DURABLE}", self._retry_parked))
            while True:
                try:
                    await stoppable(self._round(tasks))
                except (*TROUBLE, NotFoundError) as error:
                    self._broke = self._broke or isinstance(error, (Silent, Ended))
                    if self._trouble is None:
                        self._trouble_since = asyncio.get_running_loop().time()
                    self._trouble = repr(error)
                    await backoff.pause(error)

    async def _round(self, tasks: Group) -> None:
        lost = asyncio.Event()
        async with connected(
            self._broker.url, "generation-results", lost, within=ACK_TIMEOUT, ping_every=SELDOM
        ) as client:
            await unless(lost, self._pull(client, tasks))
        raise Ended("the connection broke")

    async def _pull(self, client: Client, tasks: Group) -> None:
        js = client.jetstream(timeout=ACK_TIMEOUT)
        await ensure_work_streams(client, self._broker.limits)
        if self._broke:
            await self._clear_away(client, js)
            self._broke = False
        await js.add_consumer(RESULTS_STREAM, CONSUMER)
        self._trouble = None

        def deliver(message: Msg) -> None:
            self._window.take(size_of(message))
            tasks.create_task(self._settle(message))

        await Pull(client, RESULTS_STREAM, DURABLE, self._window, deliver, PullSettings(batch=TAKERS)).run()

    async def _clear_away(self, client: Client, js: JetStreamContext) -> None:
        """Parks what was delivered and ended nats-py's read loop: a message whose subject or headers are not UTF-8.

        Which end of the connection notices first, our pull or nats-py's pings, is chance; so this is called after both.
        """
        try:
            delivered = (await js.consumer_info(RESULTS_STREAM, DURABLE)).delivered
        except NotFoundError:
            return
        last = delivered.stream_seq if delivered else 0
        while message := await first_unreadable(client, RESULTS_STREAM, "results.>", last):
            said = {"raw": message.headers.decode(errors="backslashreplace")}
            stands_for = f"{RESULTS_STREAM}:{message.sequence}:{message.time}"
            parked = Message(stands_for, message.subject, said, message.body)
            await self._park(parked, "its subject or headers are not UTF-8: no client can be given it")
            await js.delete_msg(RESULTS_STREAM, message.sequence)

    async def _settle(self, message: Msg) -> None:
        """Acknowledges what was recorded or parked; what can't be now comes again."""
        try:
            await self._take_or_park(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the result must not be lost
            raise_if_cancelled()
            log.warning("result_comes_again", error=repr(error))
            with contextlib.suppress(*TROUBLE):
                await message.nak(delay=min(0.25 * 2.0**message.metadata.num_delivered, LONGEST_PAUSE))
            return
        finally:
            self._window.give_back(size_of(message))
        self.taken += 1
        self._failing.pop(message.metadata.sequence.stream, None)
        with contextlib.suppress(*TROUBLE):
            await message.ack()

    async def _take_or_park(self, message: Msg) -> None:
        try:
            await self.take(message.data, message.metadata.num_delivered)
        except UnknownFile as error:
            self._is_poison(message, error)
            raise
        except (Malformed, NoSuchStep) as error:
            await self._park(_parked(message), str(error))
        except Exception as error:
            raise_if_cancelled()
            if not self._is_poison(message, error):
                raise
            await self._park(_parked(message), repr(error))

    def _is_poison(self, message: Msg, error: Exception) -> bool:
        """One that fails by itself has so many tries; so has one that seems to wait for a server that serves others."""
        now = asyncio.get_running_loop().time()
        failing = self._failing.setdefault(message.metadata.sequence.stream, Failing(message.subject, now, now))
        failing.error, failing.last = repr(error), now
        failing.while_others_passed += self.taken > failing.taken_before
        failing.taken_before = self.taken
        if is_transient(error):
            return failing.while_others_passed >= TRIES_WHILE_OTHERS_PASS
        return message.metadata.num_delivered >= DELIVERIES

    async def _retry_parked(self, _: Lease) -> None:
        """On one replica: what operators want to be tried again."""
        store = self._engine.store
        while True:
            seen = store.watermarks.value(parking.RETRYING)
            async with store.pool.connection() as connection:
                wanted = await parking.retrying(connection, DURABLE)
            for parked in wanted:
                error: str | None = None
                try:
                    await self.take(parked.body, FILE_DELIVERIES)
                except Exception as failure:
                    raise_if_cancelled()
                    if is_transient(failure):
                        raise
                    error = str(failure) or repr(failure)
                async with store.pool.connection() as connection:
                    if error is None:
                        await parking.mark_handled(connection, parked)
                    else:
                        await parking.mark_failed(connection, parked, error, 1)
            await store.watermarks.wait_beyond(parking.RETRYING, seen)

    async def progress(self) -> list[Progress]:
        now = asyncio.get_running_loop().time()
        # One that does not come again here came through elsewhere: replicas share the queue.
        self._failing = {place: each for place, each in self._failing.items() if now - each.last < COMES_AGAIN}
        failing = next(iter(self._failing.values()), None)
        async with self._engine.store.pool.connection() as connection:
            parked = sum((await parking.count_unresolved(connection, DURABLE)).values())
        since = [failing.since] if failing else []
        since += [self._trouble_since] if self._trouble else []
        return [
            Progress(
                name="results of workers",
                waiting=len(self._failing) + (1 if self._trouble else 0),
                waiting_seconds=max((now - each for each in since), default=0.0),
                event=f"a result on {failing.what}" if failing else None,
                error=failing.error if failing else self._trouble,
                parked=parked,
            )
        ]

    async def take(self, body: bytes, deliveries: int = 1) -> None:
        """Raises Malformed, NoSuchStep, UnknownFile, and what the store raises."""
        result = read_result(body)
        # Where a result names files, only one that is waited for is worth asking storage's word on them.
        if names_files(result) and await self._engine.may_wait_for(result.gid, result.sid, result.attempt):
            result = await self._believed(result, deliveries)
        else:
            result = bare(result)
        await self._engine.take_result(
            job_id=result.job_id,
            gid=result.gid,
            sid=result.sid,
            attempt=result.attempt,
            outputs=result.outputs,
            error=result.error,
        )

    async def _believed(self, result: WorkResult, deliveries: int) -> WorkResult:
        """The result with what storage has told of its files. What storage never tells of, fails the attempt.

        Another attempt may do better: whether there is no file, or storage can't tell of it, can't be known for sure.
        """
        try:
            return await self._files.believed(result)
        except UnknownFile:
            if deliveries < FILE_DELIVERIES or not await self._arrivals.wait_for_now(STORAGE, ARRIVAL_WAIT):
                raise
        try:
            return await self._files.believed(result)
        except UnknownFile as unknown:
            error = StepError("UNKNOWN_FILE", f"The result names a file, and {unknown}", retryable=True)
            return msgspec.structs.replace(result, outputs=[], error=error)

    async def _park(self, message: Message, why: str) -> None:
        async with self._engine.store.pool.connection() as connection:
            await parking.park(connection, DURABLE, message, status="parked", error=why)
        log.error("result_parked", subject=message.subject, error=why)


def _parked(message: Msg) -> Message:
    at = message.metadata
    stands_for = f"{at.stream}:{at.sequence.stream}:{at.timestamp.isoformat()}"
    return Message(stands_for, message.subject, message.headers or {}, message.data)
