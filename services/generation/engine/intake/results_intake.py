"""Workers' results: from the work queue `RESULTS` to the generations that wait for them.

A result is acknowledged after everything that follows from it is recorded, so none is lost. Redelivery is harmless: a
result is taken once per attempt. Order doesn't matter, because every attempt has one result.
"""

import asyncio
import contextlib

import msgspec
import psycopg
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from services.generation.engine.intake.failing_results import FailingResults
from services.generation.engine.intake.result_files import names_files, with_stored_files, without_claims
from services.generation.engine.intake.result_message import MalformedResult, read_checkpoint, read_result
from services.generation.handlers.commands import CommandHandlers, NoSuchStep
from services.generation.tables.stored_files import StoredFiles, UnknownFile
from services.generation.workers.broker import ACK_TIMEOUT, BROKER_ERRORS, Broker, ensure_work_streams
from shared.backoff import Backoff
from shared.contracts.generation import StepError
from shared.contracts.work import RESULTS_CONSUMER, RESULTS_STREAM, WorkResult
from shared.eventstore import StoreUnavailable
from shared.eventstore.connections import within
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
from shared.stopping import Group, run_until, stoppable

MAX_CONCURRENT = 256
"""Results that one process handles at a time: concurrent ones share an append."""
MAX_CONCURRENT_BYTES = 32 * 1024 * 1024
ACK_WAIT = 5.0
"""Seconds after which an unacknowledged result is delivered to another replica; taking it twice is harmless."""
LONGEST_PAUSE = 10.0
"""Seconds: the longest backoff between deliveries of a failing result."""

PROBE_SECONDS = 2.0
"""Seconds in which the store must answer before results are pulled again, after it failed."""
PULL_ERRORS = (*BROKER_ERRORS, NotFoundError, StoreUnavailable, psycopg.Error)

STORAGE = "storage"
MAX_FILE_DELIVERIES = 10
"""Deliveries, over about a minute, of a result that names a file of which storage has published no event."""
STORAGE_WAIT = 2.0
"""Seconds to wait, before such a result fails, until all of storage's published events are consumed."""

CONSUMER = ConsumerConfig(
    durable_name=RESULTS_CONSUMER,
    ack_policy=AckPolicy.EXPLICIT,
    ack_wait=ACK_WAIT,
    max_deliver=-1,
    max_ack_pending=1000,
)

log = structlog.get_logger()


class ResultsIntake:
    """Takes results until cancelled, through outages of NATS and PostgreSQL.

    Replicas share the queue. One that can't reach its store pulls none until it can, so that the others get them.
    """

    def __init__(
        self, handlers: CommandHandlers, broker: Broker, stored_files: StoredFiles, arrivals: Arrivals
    ) -> None:
        self._handlers, self._broker = handlers, broker
        self._stored_files, self._arrivals = stored_files, arrivals
        self.taken = 0
        self._window = Window(MAX_CONCURRENT, MAX_CONCURRENT_BYTES)
        self._failing = FailingResults(forget_after=2 * (LONGEST_PAUSE + ACK_WAIT))
        self._pull_broke = False
        self._interrupted = asyncio.Event()
        """Ends the pull: the connection broke, or the store failed."""
        self._store_failure: Exception | None = None
        self._outage: str | None = None
        self._outage_since = 0.0

    async def run(self) -> None:
        await retry_database(lambda: migrate(self._handlers.store.dsn, SCHEMA), RESULTS_CONSUMER, RetrySettings())
        backoff = Backoff("results", on=PULL_ERRORS)
        async with Group() as tasks:
            tasks.create_task(run_as_leader(self._handlers.store, f"parked:{RESULTS_CONSUMER}", self._retry_parked))
            while True:
                try:
                    await stoppable(self._connect_and_pull(tasks))
                except PULL_ERRORS as error:
                    self._pull_broke = self._pull_broke or isinstance(error, (Silent, Ended))
                    if self._outage is None:
                        self._outage_since = asyncio.get_running_loop().time()
                    self._outage = repr(error)
                    await backoff.pause(error)

    async def _connect_and_pull(self, tasks: Group) -> None:
        if self._store_failure is not None:
            await self._probe_store()
            self._store_failure = None
        self._interrupted.clear()
        async with connected(
            self._broker.url, "generation-results", self._interrupted, within=ACK_TIMEOUT, ping_every=SELDOM
        ) as client:
            await run_until(self._interrupted, self._pull(client, tasks))
        if self._store_failure is not None:
            raise StoreUnavailable(str(self._store_failure)) from self._store_failure
        raise Ended("the connection broke")

    async def _probe_store(self) -> None:
        """Raises what the store raises if it doesn't answer within PROBE_SECONDS."""
        async with self._handlers.store.pool.connection() as connection, within(PROBE_SECONDS, connection):
            await connection.execute("select 1")

    async def _pull(self, client: Client, tasks: Group) -> None:
        js = client.jetstream(timeout=ACK_TIMEOUT)
        await ensure_work_streams(client, self._broker.limits)
        if self._pull_broke:
            await self._park_unreadable(client, js)
            self._pull_broke = False
        await js.add_consumer(RESULTS_STREAM, CONSUMER)
        self._outage = None

        def deliver(message: Msg) -> None:
            self._window.take(size_of(message))
            tasks.create_task(self._handle(message))

        await Pull(
            client, RESULTS_STREAM, RESULTS_CONSUMER, self._window, deliver, PullSettings(batch=MAX_CONCURRENT)
        ).run()

    async def _park_unreadable(self, client: Client, js: JetStreamContext) -> None:
        """Parks delivered messages whose subject or headers are not UTF-8: these end nats-py's read loop.

        Our pull or nats-py's pings may notice the end first, so this runs after both `Silent` and `Ended`.
        """
        try:
            delivered = (await js.consumer_info(RESULTS_STREAM, RESULTS_CONSUMER)).delivered
        except NotFoundError:
            return
        last = delivered.stream_seq if delivered else 0
        while message := await first_unreadable(client, RESULTS_STREAM, "results.>", last):
            headers = {"raw": message.headers.decode(errors="backslashreplace")}
            message_id = f"{RESULTS_STREAM}:{message.sequence}:{message.time}"
            parked = Message(message_id, message.subject, headers, message.body)
            await self._park(parked, "its subject or headers are not UTF-8, so no client can receive it")
            await js.delete_msg(RESULTS_STREAM, message.sequence)

    async def _handle(self, message: Msg) -> None:
        """Acknowledges a result that was recorded or parked; any other is redelivered after a backoff."""
        try:
            await self._take_or_park(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the result must not be lost
            raise_if_cancelled()
            log.warning("result_comes_again", error=repr(error))
            if is_transient(error):
                self._store_failure = error
                self._interrupted.set()
            with contextlib.suppress(*BROKER_ERRORS):
                await message.nak(delay=min(0.25 * 2.0**message.metadata.num_delivered, LONGEST_PAUSE))
            return
        finally:
            self._window.give_back(size_of(message))
        self.taken += 1
        self._failing.remove(message)
        with contextlib.suppress(*BROKER_ERRORS):
            await message.ack()

    async def _take_or_park(self, message: Msg) -> None:
        try:
            await self.take(message.data, message.metadata.num_delivered)
        except UnknownFile as error:
            self._failing.add(message, error, self.taken)
            raise
        except (MalformedResult, NoSuchStep) as error:
            await self._park(_parked(message), str(error))
        except Exception as error:
            raise_if_cancelled()
            if not self._failing.add(message, error, self.taken):
                raise
            await self._park(_parked(message), repr(error))

    async def take(self, body: bytes, deliveries: int = 1) -> None:
        """A result or a checkpoint. Raises MalformedResult, NoSuchStep, UnknownFile, and what the store raises."""
        if (checkpoint := read_checkpoint(body)) is not None:
            await self._handlers.take_checkpoint(checkpoint)
            return
        result = read_result(body)
        # Storage's events are looked up only for a result that is waited for.
        if names_files(result) and await self._handlers.may_be_current(result.gid, result.sid, result.attempt):
            result = await self._with_stored_files(result, deliveries)
        else:
            result = without_claims(result)
        await self._handlers.take_result(
            job_id=result.job_id,
            gid=result.gid,
            sid=result.sid,
            attempt=result.attempt,
            outputs=result.outputs,
            error=result.error,
        )

    async def _with_stored_files(self, result: WorkResult, deliveries: int) -> WorkResult:
        """As `with_stored_files`; after MAX_FILE_DELIVERIES, an unknown file is a failed attempt.

        That one is retryable, because it is uncertain whether there is no file or storage can't publish its event.
        """
        try:
            return await with_stored_files(result, self._stored_files)
        except UnknownFile:
            if deliveries < MAX_FILE_DELIVERIES or not await self._arrivals.wait_for_now(STORAGE, STORAGE_WAIT):
                raise
        try:
            return await with_stored_files(result, self._stored_files)
        except UnknownFile as unknown:
            error = StepError("UNKNOWN_FILE", f"The result names a file, but {unknown}", retryable=True)
            return msgspec.structs.replace(result, outputs=[], error=error)

    async def _retry_parked(self, _: Lease) -> None:
        """On one replica: takes the parked results that operators have marked to be retried."""
        store = self._handlers.store
        while True:
            retries = store.watermarks.value(parking.RETRYING)
            async with store.pool.connection() as connection:
                retrying = await parking.retrying(connection, RESULTS_CONSUMER)
            for parked in retrying:
                error: str | None = None
                try:
                    await self.take(parked.body, MAX_FILE_DELIVERIES)
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
            await store.watermarks.wait_beyond(parking.RETRYING, retries)

    async def progress(self) -> list[Progress]:
        """For readiness: how many results wait, for how long, and why."""
        now = asyncio.get_running_loop().time()
        failing = self._failing.oldest()
        async with self._handlers.store.pool.connection() as connection:
            parked = sum((await parking.count_unresolved(connection, RESULTS_CONSUMER)).values())
        since = [failing.since] if failing else []
        since += [self._outage_since] if self._outage else []
        return [
            Progress(
                name="results of workers",
                waiting=len(self._failing) + (1 if self._outage else 0),
                waiting_seconds=max((now - start for start in since), default=0.0),
                event=f"a result on {failing.subject}" if failing else None,
                error=failing.error if failing else self._outage,
                parked=parked,
            )
        ]

    async def _park(self, message: Message, reason: str) -> None:
        async with self._handlers.store.pool.connection() as connection:
            await parking.park(connection, RESULTS_CONSUMER, message, status="parked", error=reason)
        log.error("result_parked", subject=message.subject, error=reason)


def _parked(message: Msg) -> Message:
    metadata = message.metadata
    message_id = f"{metadata.stream}:{metadata.sequence.stream}:{metadata.timestamp.isoformat()}"
    return Message(message_id, message.subject, message.headers or {}, message.data)
