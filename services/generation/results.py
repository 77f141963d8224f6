"""Results of workers: from the work queue `RESULTS` to the generations that wait for them.

A result is acknowledged when what follows from it is recorded, so it is never lost; it comes again when the answer to
that was lost, and changes nothing then. Order does not matter: every attempt has one result.
"""

import asyncio
import contextlib
from typing import Any

import msgspec
import nats.errors
import structlog
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from services.generation.broker import TROUBLE, Broker, ensure_work_streams, raise_if_stopped
from services.generation.files import StoredFiles, UnknownFile, bare
from services.generation.handlers import Engine, NoSuchStep
from shared.contracts.generation import StepError
from shared.contracts.work import RESULTS_STREAM, WorkResult
from shared.eventstore import migrate
from shared.messaging import parking
from shared.messaging.arrivals import Arrivals
from shared.messaging.failures import is_transient
from shared.messaging.parking import SCHEMA
from shared.stopping import together

DURABLE = "generation-results-v1"
TAKERS = 32
"""Results that one process takes in at the same time."""
FETCH_TIMEOUT = 5.0
ACK_WAIT = 5.0
"""Seconds after which a result that a replica took and did not settle goes to another; twice is as good as once."""
MAX_BODY = 1_000_000
MAX_MESSAGE = 2_000
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

_decoder = msgspec.json.Decoder(WorkResult)


class Malformed(Exception):  # noqa: N818 - names what was found
    """A message that is no result."""


class ResultsIntake:
    """Takes results in until it is cancelled, through outages of NATS and PostgreSQL; replicas share the queue."""

    def __init__(self, engine: Engine, broker: Broker, files: StoredFiles, arrivals: Arrivals) -> None:
        self._engine, self._broker, self._files, self._arrivals = engine, broker, files, arrivals
        self.taken = 0

    async def run(self) -> None:
        while True:
            try:
                await migrate(self._engine.store.dsn, SCHEMA)
                break
            except Exception as error:  # noqa: BLE001 - PostgreSQL is away: nothing else can be done before it is back
                log.warning("results_wait_for_postgresql", error=repr(error))
                await asyncio.sleep(1)
        await together(*(self._take_for_ever() for _ in range(TAKERS)))

    async def _take_for_ever(self) -> None:
        while True:
            try:
                js = await self._broker.jetstream()
                await ensure_work_streams(js)
                await js.add_consumer(RESULTS_STREAM, CONSUMER)
                subscription = await js.pull_subscribe_bind(DURABLE, RESULTS_STREAM)
                try:
                    await self._take_from(subscription)
                finally:
                    with contextlib.suppress(*TROUBLE):
                        await subscription.unsubscribe()
            except TROUBLE as error:
                raise_if_stopped()
                log.warning("results_wait_for_nats", error=repr(error))
                await asyncio.sleep(0.5)

    async def _take_from(self, subscription: JetStreamContext.PullSubscription) -> None:
        """One message at a time: `fetch` of several waits for them to come together."""
        while True:
            try:
                messages = await subscription.fetch(1, FETCH_TIMEOUT)
            except nats.errors.TimeoutError:
                # Nothing came: is it because the broker lost the queue?
                await _look_at_consumer(await self._broker.jetstream())
                continue
            for message in messages:
                await self._settle(message)

    async def _settle(self, message: Msg) -> None:
        """Acknowledges what was recorded or parked; what can't be now comes again."""
        try:
            await self._take_or_park(message)
        except Exception as error:  # noqa: BLE001 - whatever it is, the result must not be lost
            raise_if_stopped()
            log.warning("result_comes_again", error=repr(error))
            with contextlib.suppress(*TROUBLE):
                await message.nak(delay=min(0.25 * 2.0**message.metadata.num_delivered, 10.0))
            return
        self.taken += 1
        with contextlib.suppress(*TROUBLE):
            await message.ack()

    async def _take_or_park(self, message: Msg) -> None:
        try:
            await self.take(message.data, message.metadata.num_delivered)
        except UnknownFile:
            raise
        except (Malformed, NoSuchStep) as error:
            await self._park(message, str(error))
        except Exception as error:
            if is_transient(error) or message.metadata.num_delivered < DELIVERIES:
                raise
            await self._park(message, repr(error))

    async def take(self, body: bytes, deliveries: int = 1) -> None:
        """Raises Malformed, NoSuchStep, UnknownFile, and what the store raises."""
        result = read_result(body)
        if await self._engine.waits_for(result.gid, result.sid, result.attempt):
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

    async def _park(self, message: Msg, why: str) -> None:
        at = message.metadata
        parked = parking.Message(
            f"{at.stream}:{at.sequence.stream}:{at.timestamp.isoformat()}",
            message.subject,
            message.headers or {},
            message.data,
        )
        async with self._engine.store.pool.connection() as connection:
            await parking.park(connection, DURABLE, parked, status="parked", error=why)
        log.error("result_parked", subject=message.subject, error=why)


def read_result(body: bytes) -> WorkResult:
    """What a worker says, within bounds. A result that can't be kept counts as failed; Malformed is no result."""
    try:
        result = _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"this is no result: {error}") from error
    error_: StepError | None = None
    if len(body) > MAX_BODY:
        error_ = StepError("INVALID_RESULT", f"The result is larger than {MAX_BODY} bytes", retryable=False)
    elif b"\\u0000" in body and _has_nul(msgspec.json.decode(body)):
        # PostgreSQL's text and jsonb can't hold it.
        error_ = StepError("INVALID_RESULT", "The result contains the character U+0000", retryable=False)
    elif result.status == "failed":
        said = result.error or StepError("STEP_FAILED", "The worker did not say why", retryable=False)
        error_ = StepError(said.code[:100], said.message[:MAX_MESSAGE], said.retryable)
    return msgspec.structs.replace(result, error=error_, outputs=[] if error_ else result.outputs)


def _has_nul(value: Any) -> bool:
    stack = [value]
    while stack:
        each = stack.pop()
        if isinstance(each, str):
            if "\0" in each:
                return True
        elif isinstance(each, dict):
            stack.extend((*each.keys(), *each.values()))
        elif isinstance(each, list):
            stack.extend(each)
    return False


async def _look_at_consumer(js: JetStreamContext) -> None:
    """Makes the consumer again when it is gone."""
    try:
        await js.consumer_info(RESULTS_STREAM, DURABLE)
    except NotFoundError:
        await ensure_work_streams(js)
        await js.add_consumer(RESULTS_STREAM, CONSUMER)
