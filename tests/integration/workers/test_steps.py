"""One worker process on a real nats-server: what it makes of a step, and what it answers when it can't."""

import hashlib
from collections.abc import Iterator

import msgspec
import pytest
import pytest_asyncio

from shared.contracts.work import Progress, WorkResult
from tests.integration.workers.support import TOKEN, Engine, Storage, WorkerProcess, eventually
from tests.support.servers import Servers


@pytest.fixture(scope="module")
def nats_url(servers: Servers) -> Iterator[str]:
    """One server for all of these tests: they look at their own steps only."""
    if servers.private_nats:
        with servers.start_nats() as server:
            yield server.url("test")
    else:
        yield servers.nats_url


@pytest.fixture(scope="module")
def started(nats_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    process = WorkerProcess(nats_url, tmp_path_factory.mktemp("worker") / "worker.log", WORKER_PATIENCE="2")
    yield process
    process.kill()


@pytest_asyncio.fixture
async def worker(engine: Engine, started: WorkerProcess) -> WorkerProcess:
    """A worker for all of these tests, which none of them may stop. `engine` has made the streams that it waits for."""
    return await started.ready()


async def test_a_picture_is_drawn_and_then_framed(worker: WorkerProcess, engine: Engine, storage: Storage) -> None:
    """The second step takes the first one's file by its public link, with the token that it was given."""
    sketch = await engine.run(engine.work("sketch", prompt="harbour", width=128, height=128))
    assert (sketch.status, sketch.error) == ("completed", None)
    [picture] = sketch.outputs
    assert (picture.kind, picture.mime_type, picture.asset_id) == ("asset", "image/png", 1)
    assert picture.sha256 == hashlib.sha256(storage.files["sketch.png"]).hexdigest()
    assert picture.size == len(storage.files["sketch.png"])

    frame = await engine.run(engine.work("frame", image=picture.url, title="Harbour"))
    assert frame.status == "completed", frame.error
    assert storage.downloads[0]["Authorization"] == f"Bearer {TOKEN}"
    assert storage.files["frame.png"].startswith(b"\x89PNG")
    assert worker.process.poll() is None


async def test_a_text_comes_back_in_the_result(worker: WorkerProcess, engine: Engine, storage: Storage) -> None:
    result = await engine.run(engine.work("caption", prompt="harbour"))
    assert result.outputs[0].kind == "text"
    assert "harbour" in (result.outputs[0].text or "").lower()
    assert not storage.uploads


async def test_progress_begins_at_none_and_ends_at_all(worker: WorkerProcess, engine: Engine) -> None:
    """The first and the last report are always sent; between them, at most two a second."""
    work = engine.work("sketch", prompt="harbour", width=64, height=64)
    await engine.run(work)

    async def last() -> Progress | None:
        return engine.progress[-1] if engine.progress and engine.progress[-1].progress == 1.0 else None

    await eventually(last, "the last word")
    assert engine.progress[0].progress == 0.0
    assert {word.sid for word in engine.progress} == {work.sid}
    assert {word.component_id for word in engine.progress} == {42}


async def test_work_that_can_not_be_done_says_why(worker: WorkerProcess, engine: Engine, storage: Storage) -> None:
    """Each failure has a code, a sentence, and whether another attempt may succeed; none stops the worker."""

    async def failure(service: str, **payload: object) -> tuple[str, bool, str]:
        result: WorkResult = await engine.run(engine.work(service, **payload))
        assert result.status == "failed"
        assert result.error is not None
        assert not result.outputs
        return result.error.code, result.error.retryable, result.error.message

    code, retryable, message = await failure("sketch", width=5)
    assert (code, retryable) == ("VALIDATION_FAILED", False)
    assert message.startswith("/width: ")
    assert (await failure("frame", title="x"))[:2] == ("VALIDATION_FAILED", False)
    assert (await failure("frame", image="http://169.254.169.254/latest/meta-data"))[:2] == ("INPUT_REFUSED", False)
    storage.files["not a picture"] = b"hello"
    assert (await failure("frame", image=f"{storage.url}/assets/1/content"))[:2] == ("INPUT_INVALID", False)
    storage.refusals = [403]
    code, retryable, message = await failure("sketch", width=64, height=64)
    assert (code, retryable) == ("UPLOAD_REFUSED", False)
    assert "told to refuse" in message
    storage.refusals = [503] * 50
    assert (await failure("sketch", width=64, height=64))[:2] == ("UNAVAILABLE", True)
    storage.refusals = []
    storage.files["sketch.png"] = b"other bytes"
    assert (await failure("sketch", width=64, height=64))[:2] == ("UPLOAD_REFUSED", False)


async def test_storage_that_is_away_for_a_moment_costs_no_attempt(
    worker: WorkerProcess, engine: Engine, storage: Storage
) -> None:
    storage.refusals = [503, 429]
    result = await engine.run(engine.work("sketch", width=64, height=64))
    assert result.status == "completed", result.error
    assert len(storage.uploads) == 3


async def test_work_whose_deadline_has_passed_is_not_run(
    worker: WorkerProcess, engine: Engine, storage: Storage
) -> None:
    result = await engine.run(engine.work("sketch", seconds=-1.0, width=64, height=64))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("DEADLINE_EXCEEDED", True)
    assert not storage.uploads


async def test_a_deadline_ends_what_runs(worker: WorkerProcess, engine: Engine, storage: Storage) -> None:
    storage.gate.clear()
    result = await engine.run(engine.work("sketch", seconds=1.0, width=64, height=64))
    assert result.error is not None
    assert result.error.code == "DEADLINE_EXCEEDED"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b'{"sid": 5}', b"null"])
async def test_a_message_that_says_nothing_is_put_aside_and_the_worker_goes_on(
    worker: WorkerProcess, engine: Engine, body: bytes
) -> None:
    await engine.send_raw("caption", body)
    await eventually(engine.nothing_waits, "the message is terminated")
    assert (await engine.run(engine.work("caption", prompt="x"))).status == "completed"
    assert "work_is_malformed" in worker.log


async def test_a_malformed_message_fails_the_step_that_it_names(worker: WorkerProcess, engine: Engine) -> None:
    work = engine.work("caption", prompt="x")
    body = msgspec.to_builtins(work) | {"deadline": "soon"}
    await engine.send_raw("caption", msgspec.json.encode(body))
    result = await engine.result(work.sid)
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("MALFORMED_WORK", False)
