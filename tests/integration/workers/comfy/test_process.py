"""The ComfyUI worker as a process: steps from NATS with its own rights, a ComfyUI, outputs in storage."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import COMFY, OWNERS, service_users
from infra.embedded.worker_processes import COMFY_WORKER
from shared.contracts.work import CancelRequest, cancel_subject
from shared.messaging import connected
from tests.integration.workers.support import Engine, Storage, WorkerProcess, eventually
from tests.support.comfy.graphs import inverted, node, slow
from tests.support.comfy.standin import StandIn
from tests.support.patience import PATIENCE
from tests.support.servers import Servers

Start = Callable[..., WorkerProcess]


@pytest.fixture
def server(servers: Servers) -> Iterator[NatsServer]:
    passwords = {name: f"password-of-{name}" for name in (*OWNERS, "worker", COMFY_WORKER, "operator")}
    with servers.start_nats(service_users(passwords, {COMFY_WORKER: COMFY})) as started:
        yield started


@pytest.fixture
def start_worker(server: NatsServer, tmp_path: Path) -> Iterator[Start]:
    started: list[WorkerProcess] = []

    def start(**settings: str) -> WorkerProcess:
        log = tmp_path / f"worker-{len(started)}.log"
        started.append(WorkerProcess(server.url(COMFY_WORKER), log, module="workers.comfy", **settings))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


async def test_with_its_rights_it_runs_graphs_and_loads_pictures_from_storage(
    server: NatsServer, start_worker: Start, storage: Storage, standin: StandIn
) -> None:
    async with connected(server.url("operator"), "engine") as client:
        engine = await Engine(client, storage.url, "comfy_workflow").open()
        worker = await start_worker(COMFY_URLS=standin.url).ready()
        result = await engine.run(engine.work("comfy", graph=inverted(), models=[]))
        assert [output.mime_type for output in result.outputs] == ["image/png"], result
        graph = {
            "1": node("EmProps_Image_Loader", url="http://edge.invalid/assets/1/content", source_type="cloud"),
            "2": node("ImageInvert", image=["1", 0]),
            "3": node("EmProps_Cloud_Storage_Saver", images=["2", 0]),
        }
        again = await engine.run(engine.work("comfy", graph=graph, models=[]))
        assert again.status == "completed", again
        assert len(set(storage.files.values())) == 2
        assert json.loads((await worker.get("/health/ready"))[1])["checks"]["comfy"]["detail"] == "1 of 1 servers"
        assert "nats_error" not in worker.log, "it published or subscribed where it must not"


async def test_a_request_to_cancel_reaches_the_server(
    server: NatsServer, start_worker: Start, storage: Storage, standin: StandIn
) -> None:
    async with connected(server.url("operator"), "engine") as client:
        engine = await Engine(client, storage.url, "comfy_workflow").open()
        await start_worker(COMFY_URLS=standin.url).ready()
        standin.gate.clear()
        work = await engine.send(engine.work("comfy", graph=slow(), models=[]))

        async def runs() -> bool:
            return standin.running is not None

        await eventually(runs, "it runs")
        await client.publish(cancel_subject(COMFY[0]), msgspec.json.encode(CancelRequest(work.job_id)))
        result = await engine.result(work.sid)
        assert result.error is not None
        assert result.error.code == "CANCELLED"
        (entry,) = standin.history.values()
        assert entry["status"]["messages"][-1][0] == "execution_interrupted"


async def test_a_worker_that_dies_is_followed_by_one_that_finds_its_run(
    server: NatsServer, start_worker: Start, storage: Storage, standin: StandIn
) -> None:
    async with connected(server.url("operator"), "engine") as client:
        engine = await Engine(client, storage.url, "comfy_workflow").open()
        first = await start_worker(COMFY_URLS=standin.url).ready()
        standin.gate.clear()
        work = await engine.send(engine.work("comfy", graph=slow(), models=[]))

        async def runs() -> bool:
            return standin.running is not None

        await eventually(runs, "it runs")
        first.kill()
        await start_worker(COMFY_URLS=standin.url).ready()
        standin.gate.set()
        assert (await engine.result(work.sid)).status == "completed"
        assert len(standin.submissions) == 1


def test_wrong_settings_end_it_with_a_sentence(start_worker: Start) -> None:
    worker = start_worker(COMFY_URLS="gpu:8188")
    assert worker.process.wait(PATIENCE) == 2
    assert worker.log.startswith("comfy: COMFY_URLS has http and https addresses")
