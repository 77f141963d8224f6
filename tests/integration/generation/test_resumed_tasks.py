"""A resumed step of fetch_api, with the real http worker: it goes on with the task that it started, or starts another.

With `last_completed` a task is never paid for twice while it may end well; one that the API says has failed is left.
Whoever asks for the step again, from `start` or from its id, gets a new task.
"""

import itertools
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.contracts.collections import EVENTS
from tests.integration.workers.support import WorkerProcess
from tests.support.apps.client import ALICE
from tests.support.apps.generation import Api, created, data, generation_service
from tests.support.publishing import Publisher, publisher
from tests.support.tokens import TokenIssuer

STEP_SECONDS = 1.5
STEP = 7


class TaskApi:
    """Starts a task for each call. `state`: that of all tasks in its answers."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[str] = []
        self.looks: list[str] = []
        self.state = "RUNNING"
        self._numbers = itertools.count(1)

    async def start(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers["Idempotency-Key"])
        return web.json_response({"id": f"task-{next(self._numbers)}"})

    async def look(self, request: web.Request) -> web.Response:
        self.looks.append(request.match_info["id"])
        return web.json_response({"status": self.state, "text": request.match_info["id"]})

    def definition(self) -> dict[str, Any]:
        return {
            "form": {"fields": [{"id": "prompt", "name": "Prompt", "type": "input", "default": "a hill"}]},
            "api": {
                "url": f"{self.url}/tasks",
                "method": "POST",
                "headers": {},
                "successResponseCode": [200],
                "fetchType": "polling",
                "polling": {
                    "method": "GET",
                    "url": f"{self.url}/tasks/{{id}}",
                    "params": {"id": {"exprJq": ".id"}},
                    "continueWhenExpr": "data.status == 'RUNNING'",
                    "stopWhenExpr": "data.status == 'FAILED'",
                    "outputExprJq": ".text",
                    "successResponseCode": [200],
                },
            },
            "body": {"prompt": ""},
            "inputs": [{"id": "prompt", "pathJq": ".prompt"}],
            "cost": {"expression": "0.25"},
        }


@pytest_asyncio.fixture
async def task_api() -> AsyncIterator[TaskApi]:
    played = TaskApi()
    app = web.Application()
    app.add_routes([web.post("/tasks", played.start), web.get("/tasks/{id}", played.look)])
    async with TestServer(app) as server:
        played.url = str(server.make_url("")).rstrip("/")
        yield played


@pytest_asyncio.fixture
async def api(database: str, nats_url: str, tmp_path: Path, issuer: TokenIssuer) -> AsyncIterator[Api]:
    settings = {"adoption_wait": 1.0, "step_deadline": STEP_SECONDS}
    async with generation_service(database, nats_url, tmp_path, issuer, **settings) as started:
        yield started


@pytest_asyncio.fixture
async def collections(databases: Callable[..., str], nats_url: str) -> AsyncIterator[Publisher]:
    async with publisher("collections", EVENTS, databases(), nats_url) as started:
        yield started


@pytest_asyncio.fixture
async def http_worker(nats_url: str, tmp_path: Path) -> AsyncIterator[WorkerProcess]:
    log = tmp_path / "worker.log"
    process = WorkerProcess(nats_url, log, module="workers.http_api", EMPROPS_PRIVATE_HOSTS="127.0.0.1")
    try:
        yield await process.ready()
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("state", "error", "resumed_from", "texts"),
    [
        ("RUNNING", "DEADLINE_EXCEEDED", "last_completed", ["task-1"]),
        ("FAILED", "API_FAILED", "last_completed", ["task-2"]),
        ("RUNNING", "DEADLINE_EXCEEDED", "start", ["task-2"]),
        ("FAILED", "API_FAILED", STEP, ["task-2"]),
    ],
)
async def test_a_resumed_step_goes_on_with_its_task_or_starts_another(
    api: Api,
    collections: Publisher,
    credits_: Any,
    task_api: TaskApi,
    http_worker: WorkerProcess,
    state: str,
    error: str,
    resumed_from: str | int,
    texts: list[str],
) -> None:
    body = {"name": "task", "definition": task_api.definition()}
    answer = await api.send("POST", "/workflows", ALICE, "operator", json=body)
    assert answer.status == 201, answer.body
    task_api.state = state
    step = {"id": STEP, "nodeName": "task", "nodePayload": {}}
    job_id = (await api.generate(await created(collections, data(step)))).data["job_id"]
    job = await api.ended(job_id, "failed")
    assert error in job["generations"][0]["error"]
    assert set(task_api.looks) == {"task-1"}

    task_api.state = "DONE"
    task_api.looks.clear()
    assert (await api.send("POST", f"/jobs/{job_id}/resume", json={"from": resumed_from})).status == 202
    job = await api.ended(job_id)
    [generation] = job["generations"]
    assert [output["text"] for output in generation["outputs"]] == texts
    assert sorted(set(task_api.looks)) == texts
    assert len(set(task_api.keys)) == len(task_api.keys) == (1 if texts == ["task-1"] else 2)
    events = [recorded.type for recorded in await api.store.read_stream(UUID(generation["gid"]))]
    assert events.count("generation_resumed.v1") == 1
    await credits_.settled(("9.75", "0", "0.25"))
