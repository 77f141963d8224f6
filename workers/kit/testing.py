"""`WorkerTest`: runs a worker's handlers in a test, without NATS, storage or a network."""

import asyncio
import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, Self
from uuid import UUID, uuid4

from shared.contracts.generation import Output, StepError
from shared.contracts.work import UploadGrant, WorkContext, WorkMessage, WorkResult
from workers.kit.attempt import Attempt
from workers.kit.faults import permanent
from workers.kit.files import File
from workers.kit.worker import Worker

HASH = "5f3a" * 16
"""The generation's hash unless a test gives another."""


@dataclass(frozen=True)
class Outcome:
    """The result of one attempt, and what it reported meanwhile."""

    status: Literal["completed", "failed"]
    outputs: list[Output]
    error: StepError | None
    progress: list[tuple[float, str]]
    """All reports in order. Over NATS, reports less than half a second after another are dropped."""
    files: dict[str, bytes]
    """What was uploaded, by name."""
    checkpoints: list[dict[str, Any]] = field(default_factory=list)
    """What was stored for the next attempt, in order; after the one that `start` was given."""

    @property
    def texts(self) -> list[str]:
        """The outputs that are texts."""
        return [output.text or "" for output in self.outputs if output.kind == "text"]

    @property
    def values(self) -> list[Any]:
        """The outputs that are JSON values."""
        return [output.json for output in self.outputs if output.kind == "json"]


@dataclass
class _Files:
    """Files by the payload's field for download, and what is uploaded."""

    inputs: Mapping[str, bytes]
    uploaded: dict[str, bytes] = field(default_factory=dict)

    async def download(self, field: str, link: Any, grant: UploadGrant, traceparent: str | None) -> bytes:
        del grant, traceparent
        if not isinstance(link, str):
            raise permanent("VALIDATION_FAILED", f"/{field}: is required, the address of a file")
        content = self.inputs.get(field, self.inputs.get(link))
        if content is None:
            raise permanent("INPUT_UNREADABLE", f"{field}: 404 the test has no file for this field")
        return content

    async def upload(self, file: File, grant: UploadGrant, traceparent: str | None) -> Output:
        del grant, traceparent
        data = file.read()
        if self.uploaded.get(file.name, data) != data:
            raise permanent("UPLOAD_REFUSED", f"upload: 409 there is another file named {file.name}")
        self.uploaded[file.name] = data
        number = list(self.uploaded).index(file.name) + 1
        return Output(
            kind="asset",
            asset_id=number,
            url=f"http://storage.test/assets/{number}/content",
            path=f"test/{file.name}",
            mime_type=file.mime_type,
            sha256=hashlib.sha256(data).hexdigest(),
            size=len(data),
        )


@dataclass
class _Reports:
    reports: list[tuple[float, str]] = field(default_factory=list)

    async def report(self, progress: float, message: str) -> None:
        self.reports.append((progress, message))


@dataclass
class _Checkpoints:
    stored: list[dict[str, Any]]

    @property
    def number(self) -> int:
        return len(self.stored)

    async def store(self, checkpoint: dict[str, Any]) -> None:
        self.stored.append(checkpoint)

    async def newest(self) -> dict[str, Any] | None:
        return self.stored[-1] if self.stored else None


class RunningStep:
    """A step that was started and may be cancelled."""

    def __init__(self, attempt: Attempt, files: _Files, reports: _Reports, checkpoints: _Checkpoints) -> None:
        self._attempt, self._files, self._reports, self._checkpoints = attempt, files, reports, checkpoints
        self._task: asyncio.Task[WorkResult] = asyncio.create_task(attempt.run())

    def cancel(self) -> None:
        """Cancels the step, as a CancelRequest does."""
        self._attempt.cancel()

    async def hand_back(self) -> None:
        """Stops the handler without a result, as a worker that ends does. Returns when it has ended."""
        self._task.cancel()
        await asyncio.wait((self._task,))

    @property
    def seconds_left(self) -> float:
        """Until the deadline, as the handler sees it."""
        return self._attempt.step.seconds_left

    @property
    def progress(self) -> list[tuple[float, str]]:
        """The reports so far."""
        return self._reports.reports

    async def outcome(self) -> Outcome:
        """Waits for the attempt's end."""
        result = await self._task
        return Outcome(
            result.status,
            result.outputs,
            result.error,
            self._reports.reports,
            self._files.uploaded,
            self._checkpoints.stored,
        )


class WorkerTest:
    """Runs single steps of a worker, with its lifespan around them.

    async with WorkerTest(worker) as test:
        outcome = await test.run("greeting", {"name": "Ada"})
    assert outcome.texts == ["Hello Ada"]
    """

    def __init__(self, worker: Worker, *, patience: float = 0.0) -> None:
        """`patience`: seconds for which `Step.retry` goes on; 0 for a single try."""
        self._worker, self._patience = worker, patience
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._stack.enter_async_context(self._worker.lifespan())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def start(
        self,
        service: str,
        payload: Mapping[str, Any] | None = None,
        *,
        files: Mapping[str, bytes] | None = None,
        workflow_type: str = "direct_job",
        generation_hash: str = HASH,
        attempt: int = 1,
        seconds: float = 60.0,
        sid: UUID | None = None,
        checkpoint: dict[str, Any] | None = None,
        discarded: int = 0,
    ) -> RunningStep:
        """Starts a step. `files`: contents by the field of the payload that refers to each, or by their address.

        `checkpoint`: what an earlier attempt has stored; `discarded`: attempts up to this one are not continued.
        `seconds` until the deadline. Raises KeyError if the worker has no handler for the service.
        """
        handler = self._worker.handlers[f"{workflow_type}.{service}"]
        links = {name: f"http://storage.test/inputs/{name}" for name in files or {} if "://" not in name}
        work = WorkMessage(
            job_id=uuid4(),
            gid=uuid4(),
            sid=sid or uuid4(),
            attempt=attempt,
            service_required=service,
            workflow=service,
            payload=links | dict(payload or {}),
            context=WorkContext(uuid4(), uuid4(), 1, generation_hash, UploadGrant("http://storage.test/uploads", "")),
            deadline=(datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(),
            seconds=seconds,
            checkpoint=checkpoint,
            discarded=discarded,
        )
        files_, reports = _Files(files or {}), _Reports()
        checkpoints = _Checkpoints([checkpoint] if checkpoint is not None else [])
        now = datetime.now(UTC)
        attempt_ = Attempt(handler, work, files_, reports, checkpoints, patience=self._patience, now=now)
        return RunningStep(attempt_, files_, reports, checkpoints)

    async def run(self, service: str, payload: Mapping[str, Any] | None = None, **options: Any) -> Outcome:
        """Runs a step to its end. `options` as those of `start`."""
        return await self.start(service, payload, **options).outcome()
