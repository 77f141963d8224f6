"""ComfyUI is killed and started again in the middle of a step: the step ends in one result, with its files.

On the stand-in, and on a real ComfyUI, too, where COMFY_DIR says where one is.
"""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from shared.messaging import connected
from tests.integration.workers import support
from tests.integration.workers.support import Engine, Storage, WorkerProcess, eventually
from tests.support.comfy.graphs import slow
from tests.support.comfy.real import ComfyProcess, comfy_process, kinds, runs_a_graph

pytestmark = pytest.mark.faults

TIMES = 3


@pytest.fixture(params=kinds())
def comfy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ComfyProcess]:
    with comfy_process(request.param, tmp_path / "comfyui") as process:
        yield process


@pytest_asyncio.fixture
async def storage() -> AsyncIterator[Storage]:
    async with support.storage() as stand_in:
        yield stand_in


@pytest_asyncio.fixture
async def engine(nats_url: str, storage: Storage) -> AsyncIterator[Engine]:
    async with connected(nats_url, "engine") as client:
        yield await Engine(client, storage.url, "comfy_workflow").open()


@pytest.fixture
def workers(comfy: ComfyProcess, nats_url: str, tmp_path: Path) -> Iterator[list[WorkerProcess]]:
    """Worker processes; a test may kill the last one and call `another`."""
    started = [another(comfy, nats_url, tmp_path / "worker-0.log")]
    yield started
    for worker in started:
        worker.kill()


def another(comfy: ComfyProcess, nats_url: str, log: Path) -> WorkerProcess:
    return WorkerProcess(nats_url, log, module="workers.comfy", COMFY_URLS=comfy.url)


async def test_comfyui_is_restarted_in_the_middle_of_a_step(
    comfy: ComfyProcess, engine: Engine, storage: Storage, workers: list[WorkerProcess]
) -> None:
    await workers[-1].ready()
    for _ in range(TIMES):
        stored = len(storage.files)
        work = await engine.send(engine.work("comfy", graph=slow(), models=[]))
        await eventually(lambda: runs_a_graph(comfy), "it runs")
        comfy.kill()
        comfy.start()
        result = await engine.result(work.sid)
        assert (result.status, len(result.outputs)) == ("completed", 1), result
        assert len(storage.files) == stored + 1
    assert "comfy_run_submitted_again" in workers[-1].log


async def test_comfyui_and_the_worker_die_together(
    comfy: ComfyProcess, engine: Engine, storage: Storage, workers: list[WorkerProcess], nats_url: str, tmp_path: Path
) -> None:
    await workers[-1].ready()
    work = await engine.send(engine.work("comfy", graph=slow(), models=[]))
    await eventually(lambda: runs_a_graph(comfy), "it runs")
    workers[-1].kill()
    comfy.kill()
    workers.append(another(comfy, nats_url, tmp_path / "worker-1.log"))
    comfy.start()
    result = await engine.result(work.sid)
    assert (result.status, len(result.outputs)) == ("completed", 1), result
    assert len(storage.files) == 1
