"""A job whose models no connected worker has is refused before anything is charged: with the real ComfyUI worker."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest

from tests.integration.generation.test_workflow_types import component, registered
from tests.integration.workers.support import WorkerProcess
from tests.support.apps.client import ALICE
from tests.support.apps.credits import Api as CreditsApi
from tests.support.apps.generation import Api, created, data
from tests.support.comfy.graphs import inverted
from tests.support.comfy.standin import StandIn, stand_in
from tests.support.patience import eventually
from tests.support.publishing import Publisher

CHECKPOINT, VAE = "landscape-v2.safetensors", "ae.safetensors"
DEFINITION = {
    "form": {"fields": [{"id": "prompt", "name": "Prompt", "type": "input", "default": ""}]},
    "inputs": {},
    "workflow": inverted(),
    "required_models": {"static": {"checkpoints": [CHECKPOINT], "vae": [VAE]}},
    "cost": {"expression": "0.5"},
}
"""A graph of which a stand-in has all nodes, and two models that it needs."""

StartWorker = Callable[[StandIn], WorkerProcess]


@pytest.fixture
def start_worker(nats_url: str, tmp_path: Path) -> Iterator[StartWorker]:
    started: list[WorkerProcess] = []

    def start(server: StandIn) -> WorkerProcess:
        log = tmp_path / f"comfy-{len(started)}.log"
        started.append(WorkerProcess(nats_url, log, module="workers.comfy", COMFY_URLS=server.url))
        return started[-1]

    yield start
    for worker in started:
        worker.kill()


async def quoted(api: Api, collection: UUID, status: int) -> None:
    """Waits for this answer to a dry run: a list of models is believed once every worker must have been heard."""

    async def is_answered() -> bool:
        return (await api.generate(collection, dry_run=True)).status == status

    await eventually(is_answered, f"the dry run to be answered with {status}", every=0.2)


async def has_both(api: Api) -> bool:
    """Whether a connected worker has announced both models."""
    workers = (await api.send("GET", "/workers", ALICE, "operator")).data
    return any((worker["models"] or 0) >= 2 for worker in workers)


async def test_a_job_without_its_models_is_refused_and_costs_nothing(
    api: Api, collections: Publisher, credits_: CreditsApi, start_worker: StartWorker
) -> None:
    """When a server has them, it is accepted. A worker that lists no models may have them all."""
    await registered(api, "inverted", DEFINITION)
    collection = await created(collections, data(component("inverted", prompt="a hill")))
    async with stand_in() as server, stand_in() as silent:
        server.models = {"checkpoints": [CHECKPOINT], "vae": []}
        worker = start_worker(server)
        await quoted(api, collection, 503)
        answer = await api.generate(collection)
        assert answer.code == (503, "MODEL_UNAVAILABLE")
        [fault] = answer.body["details"]
        assert fault["pointer"] == "/data/steps/0/nodeName"
        assert f"vae/{VAE}" in fault["message"]
        assert (await api.get("/jobs")).body["counts"] == {}
        assert [one.type for one in await api.store.read_all() if one.type.startswith("job_")] == []
        assert [entry["kind"] for entry in (await credits_.get("/credits/entries")).data] == ["granted"]
        await credits_.settled(("10", "0", "0"))

        silent.models = None
        other = start_worker(silent)
        await quoted(api, collection, 200)
        await other.stop()
        await quoted(api, collection, 503)

        await worker.stop()
        server.models = {"checkpoints": [CHECKPOINT], "vae": [VAE]}
        start_worker(server)
        await quoted(api, collection, 200)
        await eventually(lambda: has_both(api), "both models to be announced", every=0.2)
        assert (await api.generate(collection)).status == 202
        await credits_.settled(("9.5", "0.5", "0"))
