"""Calling a handler for one event until it succeeds, or has failed as often as an event may."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

import msgspec
import structlog

from shared.backoff import Backoff
from shared.eventstore import RecordedEvent
from shared.handling.retry import RetrySettings, raise_if_cancelled
from shared.handling.transient import is_transient
from shared.telemetry.tracing import span

E = TypeVar("E", bound=RecordedEvent)


class HandlerTimeout(Exception):  # noqa: N818 - as the built-in TimeoutError is none of the server's here
    """The handler ran for longer than `RetrySettings.longest_call`."""


@dataclass(frozen=True)
class Failure:
    """Why an event is parked, and after how many attempts."""

    error: str
    attempts: int


@dataclass
class FailingEvent:
    """An event that failed and waits for its next attempt; `since` is the event loop's time of the first failure."""

    type: str
    event_id: str
    position: int
    key: Hashable
    since: float
    error: str = ""
    attempts: int = 0
    while_others_passed: int = 0

    def __str__(self) -> str:
        return f"{self.type} {self.event_id} at {self.position}"


class Attempts(Generic[E]):
    """Calls the handler of one consumer or process with retries. `name` is the consumer's, for logs and spans."""

    def __init__(self, name: str, handle: Callable[[E], Awaitable[None]], settings: RetrySettings) -> None:
        self._name, self._handle, self._settings = name, handle, settings
        self.handled = 0
        """Number of events that were handled successfully."""
        self.failing: dict[str, FailingEvent] = {}
        """Events that failed and will be retried, by id."""
        self.on_failing_changed: Callable[[], None] = lambda: None
        """Called when an event is added to `failing` or removed."""

    async def run(self, recorded: E) -> Failure | None:
        """Handles the event. Returns None after a success, else the failure with which the event is to be parked."""
        try:
            await self._call(recorded)
        except Exception as error:  # noqa: BLE001 - after any error, the event must not be lost
            raise_if_cancelled()
            return await self._retry(recorded, error)
        self.handled += 1
        return None

    async def _retry(self, recorded: E, error: Exception) -> Failure | None:
        """Continues after a first attempt that failed with `error`."""
        event_id, now = str(recorded.event_id), asyncio.get_running_loop().time()
        failing = FailingEvent(recorded.type, event_id, recorded.position, recorded.stream_id, now)
        self.failing[event_id] = failing
        self.on_failing_changed()
        backoff = Backoff(
            f"{self._name} {failing}", first=self._settings.first_pause, longest=self._settings.longest_pause
        )
        handled_before = self.handled
        try:
            while True:
                failing.error = repr(error)
                if not is_transient(error):
                    failing.attempts += 1
                elif self.handled > handled_before:
                    failing.while_others_passed += 1
                handled_before = self.handled
                if failing.attempts >= self._settings.attempts:
                    return Failure(failing.error, failing.attempts)
                if failing.while_others_passed >= self._settings.attempts_while_others_pass:
                    return Failure(f"{failing.error}, while other events went through", failing.while_others_passed)
                await backoff.pause(error)
                try:
                    await self._call(recorded)
                except Exception as latest:  # noqa: BLE001 - as above
                    raise_if_cancelled()
                    error = latest
                else:
                    backoff.reset()
                    self.handled += 1
                    return None
        finally:
            del self.failing[event_id]
            self.on_failing_changed()

    async def _call(self, recorded: E) -> None:
        """Calls the handler once, in a span that the commands it issues continue, with a bounded time."""
        context = recorded.context
        correlation = str(context.correlation_id or context.command_id)
        # Not `bound_contextvars`, which copies the whole context for each event.
        bound = structlog.contextvars.bind_contextvars(correlation_id=correlation, consumer=self._name)
        try:
            with span(f"{self._name} {recorded.type}", traceparent=context.traceparent, kind="consumer") as current:
                metadata = msgspec.json.encode(context.for_publication(current.traceparent))
                await self._within_bounds(msgspec.structs.replace(recorded, metadata=metadata))
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _within_bounds(self, recorded: E) -> None:
        try:
            async with asyncio.timeout(self._settings.longest_call) as bounds:
                await self._handle(recorded)
        except TimeoutError:
            if bounds.expired():
                raise HandlerTimeout(f"stopped after {self._settings.longest_call:g} s") from None
            raise
