"""A worker that dies, loses its broker or is stopped: no step is lost, and none has two results."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from services.generation.workers.broker import ensure_work_streams
from shared.contracts.work import WORK_STREAM
from shared.messaging import connected
from tests.integration.messaging.support import Broker
from tests.integration.workers.support import Engine, Storage, WorkerProcess, eventually
from tests.support.patience import PATIENCE
from tests.support.subscribing import listen

Start = Callable[..., WorkerProcess]
SKETCH = {"prompt": "harbour", "width": 96, "height": 96}


async def test_a_worker_killed_in_the_middle_of_a_step_loses_nothing(
    start_worker: Start, engine: Engine, storage: Storage
) -> None:
    """The step comes to another worker, which makes the same bytes; one asset, one result.

    Its rendering processes die with it.
    """
    worker = await start_worker().ready()
    children = psutil.Process(worker.process.pid).children(recursive=True)
    assert children
    storage.gate.clear()
    work = await engine.send(engine.work("sketch", **SKETCH))
    await storage.waiting.wait()

    worker.kill()
    storage.gate.set()  # storage keeps what the dead worker had sent; the answer is lost

    await start_worker().ready()
    result = await engine.result(work.sid)
    assert result.status == "completed"
    assert len(storage.uploads) == 2
    assert len({headers["X-Content-SHA256"] for headers in storage.uploads}) == 1
    assert [output.asset_id for output in result.outputs] == [1]
    await eventually(lambda: all_gone(children), "the dead worker's children are gone")


async def all_gone(processes: list[psutil.Process]) -> bool:
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


async def test_a_long_step_keeps_its_lease(
    start_worker: Start, engine: Engine, storage: Storage, nats_url: str
) -> None:
    """Signs of life come three times in every ack-wait, so no other worker gets what one is at."""
    signs = 0
    last_sign = asyncio.Event()

    async def count(message: Any) -> None:
        nonlocal signs
        signs += message.data == b"+WPI"
        if signs >= 8:
            last_sign.set()

    for worker in [start_worker(), start_worker()]:
        await worker.ready()
    async with connected(nats_url, "listener") as listener:
        await listen(listener, "$JS.ACK.WORK.worker-sketch.>", count)
        storage.gate.clear()
        work = await engine.send(engine.work("sketch", **SKETCH))
        await asyncio.wait_for(last_sign.wait(), PATIENCE)  # over two ack-waits
        storage.gate.set()
        assert (await engine.result(work.sid)).status == "completed"
    assert len(storage.uploads) == 1


async def test_told_to_stop_it_ends_what_it_is_at(start_worker: Start, engine: Engine, storage: Storage) -> None:
    worker = await start_worker().ready()
    storage.gate.clear()
    work = await engine.send(engine.work("sketch", **SKETCH))
    await storage.waiting.wait()
    stopping = asyncio.create_task(worker.stop())
    await eventually(lambda: holds("worker_stopping" in worker.log), "it is told to stop")
    storage.gate.set()
    assert await stopping == 0
    assert (await engine.result(work.sid)).status == "completed"


async def holds(value: object) -> bool:
    return bool(value)


async def test_what_it_can_not_end_in_time_it_hands_back(start_worker: Start, engine: Engine, storage: Storage) -> None:
    """Another worker has it at once, long before the lease would have run out."""
    first = await start_worker(WORKER_GRACE="0.2", WORKER_ACK_WAIT="300").ready()
    storage.gate.clear()
    work = await engine.send(engine.work("sketch", **SKETCH))
    await storage.waiting.wait()
    assert await first.stop() == 0
    assert "step_handed_back" in first.log

    await start_worker(WORKER_ACK_WAIT="300").ready()
    storage.gate.set()
    assert (await engine.result(work.sid)).status == "completed"


async def test_a_rendering_process_that_dies_is_replaced(start_worker: Start, engine: Engine, storage: Storage) -> None:
    worker = await start_worker().ready()
    for child in psutil.Process(worker.process.pid).children(recursive=True):
        child.kill()
    for _ in range(3):
        assert (await engine.run(engine.work("sketch", **SKETCH))).status == "completed"
    assert "render_process_lost" in worker.log


async def test_a_rendering_process_that_hangs_is_killed(start_worker: Start, engine: Engine) -> None:
    """With a bound that no picture keeps; the worker goes on with what can be done."""
    worker = await start_worker(RENDER_SECONDS="0.001").ready()
    result = await engine.run(engine.work("sketch", prompt="x", width=2048, height=2048))
    assert result.error is not None
    assert (result.error.code, result.error.retryable) == ("RENDER_TIMEOUT", True)
    assert (await engine.run(engine.work("sketch", width=5))).status == "failed"
    assert worker.process.poll() is None


async def test_it_waits_for_its_broker_and_survives_its_loss(broker: Broker, storage: Storage, tmp_path: Path) -> None:
    """Started before NATS is there; NATS killed while it works; NATS wiped: it never needs to be started again."""
    url = broker.server.url("test")
    worker = WorkerProcess(url, tmp_path / "worker.log")
    try:
        await eventually(lambda: waits(worker), "the worker runs, and is not ready")
        broker.start()
        async with connected(url, "engine") as client:
            engine = await Engine(client, storage.url).open()
            await worker.ready()
            assert (await engine.run(engine.work("caption", prompt="one"))).status == "completed"

            storage.gate.clear()
            work = await engine.send(engine.work("sketch", **SKETCH))
            await storage.waiting.wait()
            broker.kill()
            storage.gate.set()
            await eventually(lambda: holds('"what":"result"' in worker.log), "the result waits for the broker")
            broker.start()
            assert (await engine.result(work.sid)).status == "completed"

            broker.kill()
            broker.wipe()
            broker.start()
            await eventually(lambda: made_again(engine), "the streams are there again")
            assert (await engine.run(engine.work("caption", prompt="two"))).status == "completed"
    finally:
        worker.kill()


async def waits(worker: WorkerProcess) -> bool:
    return (await worker.get("/health/ready"))[0] == 503


async def made_again(engine: Engine) -> bool:
    await ensure_work_streams(engine.client)
    return bool((await engine.js.stream_info(WORK_STREAM)).state.messages == 0)
