"""The http worker is killed while it waits for a task that it has started: the API counts one start."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.embedded.nats import NatsServer
from infra.embedded.nats_users import HTTP_API, HTTP_API_USER, OWNERS, service_users
from services.generation.domain.generation import Start
from services.generation.domain.job import RequestJob
from services.generation.handlers.commands import CommandHandlers
from services.generation.handlers.secrets import Secrets
from shared.contracts.generation import (
    GenerationCompleted,
    PlannedStep,
    RequestedGeneration,
    StepCheckpointed,
    StepCompleted,
    generation_id,
)
from shared.eventstore import Context
from tests.support.apps.client import ALICE
from tests.support.apps.generation import SECRETS_KEY, Api, generation_service
from tests.support.patience import eventually
from tests.support.servers import Servers
from tests.support.serving import free_port
from tests.support.tokens import TokenIssuer

pytestmark = pytest.mark.faults

ROOT = Path(__file__).parents[2]
JOB = UUID(int=901)
GID = generation_id(JOB, 0)
SID = UUID(int=902)
KEY = "the-key-of-the-api-0123456789"


class TaskApi:
    """Starts a task for each idempotency key; `keys` are those of all calls. Tasks run until `is_finished`."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[str] = []
        self.tasks: dict[str, str] = {}
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.looks = 0
        self.is_finished = False

    async def start(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        key = request.headers["Idempotency-Key"]
        self.keys.append(key)
        task = self.tasks.setdefault(key, f"task-{len(self.tasks) + 1}")
        await self.may_answer.wait()
        return web.json_response({"id": task})

    async def look(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        self.looks += 1
        status = "DONE" if self.is_finished else "RUNNING"
        return web.json_response({"status": status, "text": request.match_info["id"]})

    def payload(self) -> dict[str, object]:
        return {
            "request": {
                "method": "POST",
                "url": f"{self.url}/tasks",
                "headers": {"Authorization": "Bearer {{API_KEY}}"},
                "body": {},
            },
            "success": [200],
            "fetch": "polling",
            "polling": {
                "url": f"{self.url}/tasks/{{id}}",
                "params": {"id": {"exprJq": ".id"}},
                "continueWhenExpr": "data.status == 'RUNNING'",
                "outputExprJq": ".text",
                "successResponseCode": [200],
            },
        }


class HttpWorkers:
    """Processes of `python -m workers.http_api`, with the rights of its NATS user."""

    def __init__(self, nats_url: str, folder: Path) -> None:
        self._nats_url, self._folder = nats_url, folder
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        environment = {
            **os.environ,
            "NATS_URL": self._nats_url,
            "EMPROPS_PRIVATE_HOSTS": "127.0.0.1",
            "WORKER_ACK_WAIT": "1.5",
            "HTTP_PORT": str(free_port()),
        }
        log = self._folder / f"worker-{len(self.processes)}.log"
        with log.open("ab") as out:
            command = [sys.executable, "-m", "workers.http_api"]
            self.processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=out, stderr=out))

    def kill(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait()

    @property
    def logs(self) -> str:
        return "".join(path.read_text() for path in sorted(self._folder.glob("worker-*.log")))


@pytest.fixture
def nats_server(servers: Servers) -> Iterator[NatsServer]:
    passwords = dict.fromkeys((*OWNERS, "worker", HTTP_API_USER, "operator"), "secret")
    with servers.start_nats(service_users(passwords, {HTTP_API_USER: HTTP_API})) as started:
        yield started


@pytest_asyncio.fixture
async def task_api() -> AsyncIterator[TaskApi]:
    played = TaskApi()
    app = web.Application()
    app.add_routes([web.post("/tasks", played.start), web.get("/tasks/{id}", played.look)])
    async with TestServer(app) as server:
        played.url = str(server.make_url("")).rstrip("/")
        yield played


@pytest_asyncio.fixture
async def api(database: str, nats_server: NatsServer, tmp_path: Path) -> AsyncIterator[Api]:
    """The generation service, with its own NATS user and the secret of the API."""
    async with generation_service(database, nats_server.url("generation"), tmp_path, TokenIssuer()) as started:
        await Secrets(started.store, SECRETS_KEY).set("API_KEY", KEY, context("secret"))
        yield started


@pytest.fixture
def workers(nats_server: NatsServer, tmp_path: Path) -> Iterator[HttpWorkers]:
    http_workers = HttpWorkers(nats_server.url(HTTP_API_USER), tmp_path)
    yield http_workers
    http_workers.kill()


def context(name: str) -> Context:
    return Context(command_id=UUID(bytes=name.encode().ljust(16)[:16]), actor="test")


async def start_step(api: Api, task_api: TaskApi) -> None:
    """A job of one generation of one fetch_api step, as the engine records it."""
    handlers = CommandHandlers(api.store, api.service.runtime.clock, api.service.runtime.new_id)
    request = RequestJob(
        job_id=JOB,
        user_id=ALICE,
        collection_id=UUID(int=903),
        project_id=UUID(int=904),
        title="x",
        data={"version": "v2", "steps": [], "variables": [], "generations": {"generations": 1}},
        workflow_versions={},
        variables={},
        generations=[RequestedGeneration(GID, "ab" * 32, 1)],
        quoted=1,
        encryption_enabled=False,
    )
    await handlers.command_job(JOB, request, context("request"))
    step = PlannedStep(
        sid=SID,
        component_id=1,
        workflow="api",
        workflow_version=1,
        workflow_type="fetch_api",
        service_required="http_api",
        payload=task_api.payload(),
        needs=[],
    )
    start = Start(GID, JOB, ALICE, UUID(int=903), "ab" * 32, {}, [step], 1)
    await handlers.start_generation(start, context("start"))


async def events(api: Api) -> list[object]:
    return [recorded.event for recorded in await api.store.read_stream(GID)]


async def is_completed(api: Api) -> bool:
    return any(isinstance(event, GenerationCompleted) for event in await events(api))


async def test_a_worker_killed_mid_poll_starts_no_second_task(
    api: Api, task_api: TaskApi, workers: HttpWorkers, nats_server: NatsServer
) -> None:
    """Five times, each time another process goes on."""
    workers.start()
    await start_step(api, task_api)
    for _ in range(5):
        before = task_api.looks
        await eventually(lambda before=before: task_api.looks > before, "the task to be polled")
        workers.processes[-1].kill()
        workers.processes[-1].wait()
        workers.start()
    before = task_api.looks
    await eventually(lambda: task_api.looks > before, "the last worker to poll the task")
    task_api.is_finished = True

    await eventually(lambda: is_completed(api), "the generation to complete")
    assert task_api.keys == [str(SID)]
    recorded = await events(api)
    [done] = [event for event in recorded if isinstance(event, StepCompleted)]
    assert [output.text for output in done.outputs] == ["task-1"]
    [checkpoint] = [event for event in recorded if isinstance(event, StepCheckpointed)]
    assert checkpoint.checkpoint == {"parameters": {"id": "task-1"}}
    assert "nats_error" not in workers.logs, "it published or subscribed where it must not"
    await assert_kept_nowhere(api, workers, nats_server)


async def test_a_worker_killed_before_it_has_the_answer_sends_the_same_key_again(
    api: Api, task_api: TaskApi, workers: HttpWorkers
) -> None:
    """The one moment in which a second start can't be excluded: an API that reads the header starts no other task."""
    task_api.may_answer.clear()
    workers.start()
    await start_step(api, task_api)
    await eventually(lambda: task_api.keys, "the task to be started")
    workers.kill()
    task_api.may_answer.set()
    task_api.is_finished = True
    workers.start()
    await eventually(lambda: is_completed(api), "the generation to complete")
    assert task_api.keys == [str(SID), str(SID)]
    assert len(task_api.tasks) == 1


async def assert_kept_nowhere(api: Api, workers: HttpWorkers, server: NatsServer) -> None:
    """The secret's value: in no table, and so in no event; in no file of NATS; in no log."""
    tables = await api.store.pool.rows("select tablename from pg_tables where schemaname = 'public'", ())
    for (table,) in tables:
        for (row,) in await api.store.pool.rows(f'select row_to_json(t)::text from "{table}" t', ()):
            assert KEY not in row
            assert KEY.encode().hex() not in row
    assert KEY not in workers.logs
    files = [path for path in server.directory.rglob("*") if path.is_file()]
    assert any(SID.hex[:8].encode() in path.read_bytes() for path in files), "the streams are looked at"
    for path in files:
        assert KEY.encode() not in path.read_bytes(), path
