"""An owner of counters, a NATS server that tests kill and restart, and conditions to wait for."""

import asyncio
import contextlib
import dataclasses
import json
import shutil
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from subprocess import Popen
from typing import Any, ClassVar
from uuid import UUID, uuid4

import nats.errors
import psycopg
from nats.js.errors import NotFoundError

from infra.embedded.nats import NatsServer
from infra.embedded.process import last_lines, start, stop
from shared import stopping
from shared.contracts.event import Event
from shared.eventstore import Codec, Context, Decider, EventStore, StoreUnavailable, StreamAppend
from shared.messaging import Consumer, ConsumerRunner, Relay, RetrySettings, SubscriptionSettings, connected
from shared.messaging.pulling import PullSettings
from tests.support.patience import eventually

OWNER = "counting"
STREAM = "COUNTING"


class CounterEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "counter"


class Counted(CounterEvent, frozen=True, tag="counted.v1"):
    n: int


class Ignored(CounterEvent, frozen=True, tag="ignored.v1"):
    n: int


class Text(CounterEvent, frozen=True, tag="text.v1"):
    text: str


EVENTS = (Counted, Ignored)


def fold_count(state: int, event: Event) -> int:
    assert isinstance(event, Counted)
    return event.n


COUNTER = Decider[int]("counter", 0, fold_count, int)


class Broker:
    """A nats-server for one test, which can be killed and wiped; it keeps its port."""

    def __init__(self, server: NatsServer, logs: Path) -> None:
        self.server, self._logs = server, logs
        self._process: Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return self.server.url("test")

    def start(self) -> None:
        self._process = start(self.server.process(), self._logs)

    def kill(self) -> None:
        """Kills the server (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stops the server's process for a block: it accepts connections and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def wipe(self) -> None:
        """Deletes the server's data, as after a lost disk."""
        shutil.rmtree(self.server.directory / "jetstream", ignore_errors=True)

    def limit_payload(self, most: int) -> None:
        """Restarts the server with a smaller maximum size of messages."""
        self._restart_with(max_payload=most)

    def without_jetstream(self) -> None:
        """Restarts the server without JetStream, so that a test can answer its requests."""
        self._restart_with(jetstream=False)

    def _restart_with(self, **changed: object) -> None:
        self.kill()
        configuration = self.server.directory / "nats.conf"
        settings = json.loads(configuration.read_text()) | changed
        spec = self.server.process()
        configuration.write_text(json.dumps(settings))
        self._process = start(dataclasses.replace(spec, prepare=lambda: None), self._logs)

    def close(self) -> None:
        """Stops the server. Prints its log, which pytest shows if the test has failed: it may have ended by itself."""
        if self._process is not None:
            code = self._process.poll()
            print(f"nats-server {'runs' if code is None else f'has ended with {code}'}; the end of its log:")
            print(last_lines(self._logs, self.server.process().name, 40))
            stop(self.server.process(), self._process)


@contextlib.asynccontextmanager
async def opened(dsn: str) -> AsyncIterator[EventStore]:
    async with EventStore.open(dsn, Codec((*EVENTS, Text))) as store:
        yield store
        ended = [f"{name}: {task}" for name, task in store.tasks.items() if task.done()]
        assert not ended, f"tasks of the store have ended: {ended}"


async def count(store: EventStore, stream_id: UUID, *numbers: int, event: type[Event] = Counted) -> int:
    """Records the numbers in a stream, one command each; returns the position of the last one."""
    position = 0
    for number in numbers:
        context = Context(uuid4(), "tester", correlation_id=uuid4())
        version = (await store.load(COUNTER, stream_id)).version if event is Counted else number - 1
        appended = await store.append([StreamAppend(stream_id, version, [event(n=number)])], context)
        position = appended.position
    return position


async def count_at_once(store: EventStore, streams: int, amount: int) -> list[UUID]:
    """Records 1, 2, … in several new streams at the same time, so that the streams are interleaved."""
    ids = [uuid4() for _ in range(streams)]

    async def fill(stream_id: UUID) -> None:
        for version in range(amount):
            await store.append([StreamAppend(stream_id, version, [Counted(n=version + 1)])], Context(uuid4(), "tester"))

    await asyncio.gather(*(fill(stream_id) for stream_id in ids))
    return ids


async def once_up(work: Callable[[], Awaitable[Any]]) -> Any:
    """Repeats work while PostgreSQL is unavailable."""

    async def attempt() -> Any:
        with contextlib.suppress(StoreUnavailable, psycopg.OperationalError):
            return await work() or True
        return None

    return await eventually(attempt, "PostgreSQL is back")


async def cut_connections(dsn: str) -> None:
    """Terminates all connections to the database, as a restart of PostgreSQL does."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        await connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )


@contextlib.asynccontextmanager
async def background(*work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Runs loops for the length of a block; a loop that raises fails the test, and is named when the block fails."""
    tasks = [asyncio.ensure_future(loop()) for loop in work]

    def failures() -> list[str]:
        return [f"a loop broke: {task.exception()!r}" for task in tasks if task.done() and task.exception()]

    try:
        yield
        assert not failures(), failures()
    except AssertionError as error:
        for failure in failures():
            error.add_note(failure)
        raise
    finally:
        await stopping.stop(*tasks)


def relay(store: EventStore, url: str, **settings: Any) -> Relay:
    return Relay(store, OWNER, url, **{"verify_every": 0.2, "ack_timeout": 2.0, **settings})


def runner(
    store: EventStore,
    url: str,
    handle: Callable[[Any], Awaitable[None]],
    *,
    name: str = "tests-v1",
    events: tuple[type[Event], ...] = (Counted,),
    retries: RetrySettings | None = None,
    **settings: Any,
) -> ConsumerRunner:
    """A ConsumerRunner with short pauses."""
    return ConsumerRunner(
        store,
        Consumer(name, OWNER, events, handle),
        url,
        retries=retries or RetrySettings(attempts=3, first_pause=0.01, longest_pause=0.2, look_at_parked_every=0.05),
        settings=SubscriptionSettings(
            **{"pull": PullSettings(heartbeat=0.5, missed_heartbeats=4, expires=5.0), **settings}
        ),
        remember_every=0.02,
    )


async def forget(service: EventStore) -> None:
    """Deletes the checkpoints of the service's consumers."""
    async with await psycopg.AsyncConnection.connect(service.dsn) as connection:
        await connection.execute("delete from consumed")


async def remembered(service: EventStore) -> int:
    """The position of the stored checkpoint: all events up to it are settled."""
    async with await psycopg.AsyncConnection.connect(service.dsn) as connection:
        with contextlib.suppress(psycopg.errors.UndefinedTable):  # its consumer has not started yet
            row = await (await connection.execute("select coalesce(max(position), 0) from consumed")).fetchone()
            assert row is not None
            return int(row[0])
    return -1


async def published(url: str) -> list[tuple[int, dict[str, str], bytes]]:
    """All messages of the stream as (sequence, headers with the subject, body)."""
    messages = []
    async with connected(url, "test") as client:
        js = client.jetstream()
        try:
            state = (await js.stream_info(STREAM)).state
        except (NotFoundError, nats.errors.TimeoutError):
            return []
        for sequence in range(state.first_seq, state.last_seq + 1) if state.messages else ():
            with contextlib.suppress(NotFoundError):
                message = await js.get_msg(STREAM, sequence)
                headers = {**(message.headers or {}), "subject": message.subject or ""}
                messages.append((sequence, headers, message.data or b""))
    return messages


async def positions_published(url: str) -> list[int]:
    return [int(headers["ce-position"]) for _, headers, _ in await published(url) if "ce-position" in headers]
