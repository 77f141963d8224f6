"""ComfyUI is killed and started again while jobs run on a whole set: each step is done once, and credits are exact.

On the stand-in, and on a real ComfyUI, too, where COMFY_DIR says where one is.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.support.comfy.graphs import slow
from tests.support.comfy.real import ComfyProcess, comfy_process, kinds, runs_a_graph
from tests.support.jobs import PRICE, assert_done_once, until_ended, until_settled
from tests.support.patience import eventually
from tests.support.running_set import RunningSet, running_set

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

GENERATIONS = 4
DEATHS = ("comfyui", "comfyui and its worker", "comfyui")
WORKFLOW = {
    "form": {"fields": [{"id": "colour", "name": "Colour", "type": "slider", "constraints": {"min": 0, "max": 9999}}]},
    "inputs": {"0": {"color": {"value": "colour"}}},
    "workflow": slow(),
    "cost": {"expression": "1"},
}
COLLECTION = {
    "version": "v2",
    "steps": [
        {"id": 1, "nodeName": "slow", "nodePayload": {"colour": 7}},
        {"id": 2, "nodeName": "frame", "nodePayload": {"image": {"$ref": 1}, "title": "restarted"}},
    ],
    "variables": [],
}


@pytest.fixture(params=kinds())
def comfy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ComfyProcess]:
    with comfy_process(request.param, tmp_path / "comfyui") as process:
        yield process


@pytest.fixture
def running(comfy: ComfyProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSet]:
    monkeypatch.setenv("COMFY_URLS", comfy.url)
    with running_set(tmp_path / "set") as instance:
        yield instance


async def test_a_job_survives_the_restarts_of_comfyui(running: RunningSet, comfy: ComfyProcess) -> None:
    async with running.client(uuid4(), "operator") as operator:
        await operator.post("/workflows", {"name": "slow", "definition": WORKFLOW})
    async with running.client(await running.rich_user(100)) as client:
        collection: Any = await client.post("/projects/collections", {"title": "Restarted", "data": COLLECTION})
        job = await client.post(f"/collections/{collection['id']}/generations", {"generations": GENERATIONS})
        for death in DEATHS:
            await eventually(lambda: runs_a_graph(comfy), "a graph to run")
            if "worker" in death:
                running.kill("comfy-1")
            comfy.kill()
            comfy.start()
        ended = await until_ended(client, job["job_id"])
        assert ended["status"] == "completed", ended
        assert_done_once(running, ended, GENERATIONS)
        balance = await until_settled(client)
        assert (balance["available"], balance["spent"]) == (100 - GENERATIONS * PRICE, GENERATIONS * PRICE)
