"""The parameter of a handler: one attempt at one step, with its inputs, its files and its time."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal, Protocol, TypeVar
from uuid import UUID

import msgspec

from shared.backoff import Backoff
from shared.contracts.generation import Output
from shared.contracts.work import MAX_CHECKPOINT, UploadGrant, WorkMessage
from workers.kit.deadline import Deadline
from workers.kit.faults import StepFault, is_transient, permanent
from workers.kit.files import File

T = TypeVar("T")
StopReason = Literal["cancelled", "deadline", "shutdown"]
"""Why an attempt is stopped: the step was cancelled, its time is over, or the worker stops and hands it back."""


class StepStopped(Exception):  # noqa: N818 - what happened to the step
    """The attempt is stopped: the handler should end now. What it returns or raises from here on is dropped."""


class FileTransfers(Protocol):
    """Downloads and uploads files: `Transfers` over HTTP, and in tests a dictionary."""

    async def download(self, field: str, link: Any, grant: UploadGrant, traceparent: str | None) -> bytes:
        """The file that the payload's `field` refers to. Raises StepFault."""
        ...

    async def upload(self, file: File, grant: UploadGrant, traceparent: str | None) -> Output:
        """Stores a file. Raises StepFault."""
        ...


class ProgressReporter(Protocol):
    """Sends progress: `Reporter` over NATS, and in tests a list."""

    async def report(self, progress: float, message: str) -> None:
        """Reports `progress`, from 0 to 1. Never raises."""
        ...


class CheckpointStore(Protocol):
    """Stores checkpoints: `Checkpointer` over NATS, and in tests a list."""

    @property
    def number(self) -> int:
        """The number of the newest checkpoint, from 1; 0: there is none."""
        ...

    async def store(self, checkpoint: dict[str, Any]) -> None:
        """Stores a checkpoint durably, however long the broker is away. Raises StepFault UNAVAILABLE as `newest`."""
        ...

    async def newest(self) -> dict[str, Any] | None:
        """The step's newest checkpoint. Raises StepFault UNAVAILABLE while the engine does not answer."""
        ...


class Step:
    """One attempt at one step, for handlers that are coroutines.

    When the attempt is stopped, the handler gets `asyncio.CancelledError`; `stopped` says why. It may take some
    seconds (CLEANUP_SECONDS) to clean up, for instance to cancel what it has started on another server.
    """

    def __init__(
        self,
        work: WorkMessage,
        files: FileTransfers,
        reporter: ProgressReporter,
        checkpoints: CheckpointStore,
        *,
        patience: float,
        seconds: float,
    ) -> None:
        self.work = work
        """The whole message."""
        self._files, self._reporter, self._checkpoints = files, reporter, checkpoints
        self.patience = patience
        """Seconds for which `retry` goes on."""
        self._deadline = Deadline(seconds)
        self._stopped: StopReason | None = None

    @property
    def payload(self) -> dict[str, Any]:
        """The step's inputs, complete: variables and references are resolved."""
        return self.work.payload

    @property
    def hash(self) -> str:
        """The generation's hash, in hex: the same hash and payload should give the same result."""
        return self.work.context.hash

    @property
    def service(self) -> str:
        """The service that the step requires, as the handler was registered for it."""
        return self.work.service_required

    @property
    def sid(self) -> UUID:
        """The step's id, the same in every attempt: use it as a key for calls that must not be made twice."""
        return self.work.sid

    @property
    def seconds_left(self) -> float:
        """Until the deadline; 0 when it has passed. It stands still within `waiting`."""
        return self._deadline.seconds_left

    def waiting(self) -> contextlib.AbstractContextManager[None]:
        """Within the block, the attempt waits for a server that is busy: this time does not count.

        It is bounded: what exceeds the attempt's own time (WAIT_SHARE) counts again. Blocks may be nested.
        """
        return self._deadline.waiting()

    @property
    def stopped(self) -> StopReason | None:
        """Why the attempt is being stopped, or None."""
        return self._stopped

    def stop(self, reason: StopReason) -> None:
        """Marks the attempt as stopped. The first reason counts. The kit calls this, handlers need not."""
        self._stopped = self._stopped or reason

    def raise_if_stopped(self) -> None:
        """Raises StepStopped once the attempt is stopped."""
        if self._stopped is not None:
            raise StepStopped(self._stopped)

    def field(self, name: str, kind: type[T]) -> T:
        """A required field of the payload. Raises StepFault VALIDATION_FAILED if it is missing or of another type.

        `kind`: `str`, `int`, `list[str]`, a msgspec Struct, or what else msgspec converts to.
        """
        if name not in self.payload:
            raise permanent("VALIDATION_FAILED", f"/{name}: is required")
        try:
            return msgspec.convert(self.payload[name], kind)
        except msgspec.ValidationError as error:
            raise permanent("VALIDATION_FAILED", f"/{name}: {error}") from error

    async def progress(self, progress: float, message: str = "") -> None:
        """Reports how far the step is, from 0 to 1. Called often, it sends two reports a second at most."""
        self.raise_if_stopped()
        await self._reporter.report(progress, message)

    async def checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Stores what the step's next attempt must know: returns when it is durable. It replaces the one before.

        At most MAX_CHECKPOINT bytes as JSON; operators see it, so it must not contain secrets. Raises StepFault
        CHECKPOINT_REFUSED for another value.
        """
        self.raise_if_stopped()
        try:
            size = len(msgspec.json.encode(checkpoint))
        except (TypeError, ValueError) as error:
            raise permanent("CHECKPOINT_REFUSED", f"The checkpoint is not JSON: {error}") from error
        if size > MAX_CHECKPOINT:
            raise permanent("CHECKPOINT_REFUSED", f"The checkpoint has {size} bytes; at most {MAX_CHECKPOINT} are kept")
        await self.retry(lambda: self._checkpoints.store(checkpoint), "checkpoint")

    async def newest_checkpoint(self) -> dict[str, Any] | None:
        """The step's newest checkpoint, also one that another worker stored in this attempt before it died.

        Ask before a call that must not be made twice. Raises StepFault UNAVAILABLE if the engine does not answer for
        WORKER_PATIENCE seconds.
        """
        return await self.retry(self._checkpoints.newest, "checkpoint")

    @property
    def checkpoint_number(self) -> int:
        """How many checkpoints the step has had, as `newest_checkpoint` found; it grows with each one that is stored.

        With the step's id it makes a key for what is started next: another one for each start, the same one when the
        answer of a start was lost.
        """
        return self._checkpoints.number

    async def download(self, field: str) -> bytes:
        """The file whose URL is in a field of the payload. Retried while storage is away. Raises StepFault."""
        self.raise_if_stopped()
        link = self.payload.get(field)
        return await self._files.download(field, link, self.work.context.upload, self.work.traceparent)

    async def fetch(self, link: str, name: str) -> bytes:
        """The file at an address that stands deeper in the payload; `name` says where in faults: `graph/3/image`.

        As `download`: only storage's files, and those of INPUT_HOSTS. Raises StepFault.
        """
        self.raise_if_stopped()
        return await self._files.download(name, link, self.work.context.upload, self.work.traceparent)

    async def upload(self, file: File) -> Output:
        """Stores a file; the handler returns the Output. Retried while storage is away. Raises StepFault.

        The name must be unique within the step. The same file under the same name again gives the same Output.
        """
        self.raise_if_stopped()
        return await self._files.upload(file, self.work.context.upload, self.work.traceparent)

    async def retry(self, call: Callable[[], Awaitable[T]], what: str = "call") -> T:
        """What `call` returns. It is called again while it raises transient StepFaults, with growing pauses.

        Raises the last fault after WORKER_PATIENCE seconds. `what` names the call in logs.
        """
        return await self.backoff(what).call(call, timeout=self.patience)

    def backoff(self, what: str) -> Backoff:
        """The pauses of `retry`."""
        return Backoff(what, on=is_transient, first=0.2, longest=3.0)


class BlockingStep:
    """One attempt at one step, for handlers that are plain functions. Each runs in a thread of its own.

    A thread can't be interrupted: a long handler should call `raise_if_stopped` now and then. `progress`, `download`,
    `upload` and `retry` do so, too. Until the function returns, it occupies a lane of its worker.
    """

    def __init__(self, step: Step, loop: asyncio.AbstractEventLoop) -> None:
        self._step, self._loop = step, loop
        self.work, self.payload, self.hash = step.work, step.payload, step.hash
        self.service, self.sid = step.service, step.sid

    @property
    def seconds_left(self) -> float:
        """Until the deadline; 0 when it has passed."""
        return self._step.seconds_left

    @property
    def stopped(self) -> StopReason | None:
        """Why the attempt is being stopped, or None."""
        return self._step.stopped

    def raise_if_stopped(self) -> None:
        """Raises StepStopped once the attempt is stopped."""
        self._step.raise_if_stopped()

    def field(self, name: str, kind: type[T]) -> T:
        """As `Step.field`."""
        return self._step.field(name, kind)

    def progress(self, progress: float, message: str = "") -> None:
        """As `Step.progress`."""
        self._wait(self._step.progress(progress, message))

    def checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """As `Step.checkpoint`."""
        self._wait(self._step.checkpoint(checkpoint))

    def newest_checkpoint(self) -> dict[str, Any] | None:
        """As `Step.newest_checkpoint`."""
        return self._wait(self._step.newest_checkpoint())

    def download(self, field: str) -> bytes:
        """As `Step.download`."""
        return self._wait(self._step.download(field))

    def fetch(self, link: str, name: str) -> bytes:
        """As `Step.fetch`."""
        return self._wait(self._step.fetch(link, name))

    def upload(self, file: File) -> Output:
        """As `Step.upload`."""
        return self._wait(self._step.upload(file))

    def retry(self, call: Callable[[], T], what: str = "call") -> T:
        """As `Step.retry`, for a function that blocks."""
        backoff = self._step.backoff(what)
        ends = time.monotonic() + self._step.patience
        while True:
            self.raise_if_stopped()
            try:
                return call()
            except StepFault as fault:
                if not fault.retryable or time.monotonic() > ends:
                    raise
                backoff.pause_sync(fault)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        if self._step.stopped is not None or self._loop.is_closed():
            work.close()
            raise StepStopped(self._step.stopped or "shutdown")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()
