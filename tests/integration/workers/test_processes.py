"""Worker processes beside each other, what they tell of themselves, and how they refuse wrong settings."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from tests.integration.workers.support import TOKEN, Engine, Storage, WorkerProcess, eventually
from tests.support.clock import SteppedClock
from tests.support.patience import PATIENCE

HOUR = timedelta(hours=1)
Start = Callable[..., WorkerProcess]


async def test_it_takes_only_what_it_offers(start_worker: Start, engine: Engine) -> None:
    await start_worker(WORKER_SERVICES="caption").ready()
    other = await engine.send(engine.work("sketch", width=64, height=64))
    mine = await engine.send(engine.work("caption", prompt="x"))
    await eventually(lambda: engine.results(mine.sid), "the caption")
    assert await engine.results(other.sid) == []


async def test_several_workers_share_the_queue(start_worker: Start, engine: Engine) -> None:
    """Every step has one result, whichever worker takes it."""
    workers = [start_worker(), start_worker()]
    for worker in workers:
        await worker.ready()
    sent = [await engine.send(engine.work("caption", prompt=str(number))) for number in range(40)]
    for work in sent:
        assert (await engine.result(work.sid)).status == "completed"
    finished = [worker.log.count("step_finished") for worker in workers]
    assert sum(finished) == 40
    assert min(finished) > 0


async def test_probes_and_metrics_tell_how_it_is(start_worker: Start, engine: Engine) -> None:
    worker = await start_worker().ready()
    await engine.run(engine.work("caption", prompt="x"))
    assert (await worker.get("/health/live"))[0] == 200
    status, body = await worker.get("/health/ready")
    assert (status, set(json.loads(body)["checks"])) == (200, {"nats", "lanes", "renderers", "clock"})
    _, metrics = await worker.get("/metrics")
    assert 'worker_steps_total{code="",service_required="caption",status="completed"} 1.0' in metrics


async def has_compared_clocks(worker: WorkerProcess) -> bool:
    """False on a busy machine, too, where NATS may take longer over its answer than a check has."""
    checks = json.loads((await worker.get("/health/ready"))[1]).get("checks", {})
    return str(checks.get("clock", {}).get("detail")).endswith("s from NATS's")


@pytest.mark.parametrize(("offset", "side"), [(HOUR, "ahead of"), (-HOUR, "behind")])
async def test_it_tells_that_its_clock_is_another(
    start_worker: Start, engine: Engine, tmp_path: Path, offset: timedelta, side: str
) -> None:
    """It works all the same, and is ready for that."""
    clock = SteppedClock(tmp_path / "clock")
    worker = await start_worker(**clock.environment).ready()
    await eventually(lambda: has_compared_clocks(worker), "the worker to compare its clock with NATS's")
    with clock.off_by(offset):
        assert (await engine.run(engine.work("caption", prompt="x"))).status == "completed"
        status, body = await worker.get("/health/ready")
    result = json.loads(body)
    assert (status, result["status"]) == (200, "degraded")
    detail = result["checks"]["clock"]["detail"]
    assert detail.startswith(("this clock is 3600.", "this clock is 3599."))
    assert detail.endswith(f"s {side} NATS's")


async def test_a_log_is_json_and_holds_no_token(start_worker: Start, engine: Engine, storage: Storage) -> None:
    worker = await start_worker(LOG_LEVEL="debug", WORKER_PATIENCE="0").ready()
    storage.refusals = [500]
    work = engine.work("sketch", width=64, height=64)
    await engine.run(work)
    await engine.send_raw("sketch", msgspec.json.encode(msgspec.to_builtins(work) | {"attempt": "x"}))
    await eventually(engine.nothing_waits, "the malformed one is terminated")
    entries = [json.loads(line) for line in worker.log.splitlines()]
    finished = next(entry for entry in entries if entry["event"] == "step_finished")
    assert finished["sid"] == str(work.sid)
    assert TOKEN not in worker.log


def test_wrong_settings_end_it_with_a_sentence(start_worker: Start) -> None:
    worker = start_worker(WORKER_SERVICES="sketch,paint")
    assert worker.process.wait(PATIENCE) == 2
    assert worker.log == "worker: WORKER_SERVICES may name sketch, frame, caption, not paint\n"
