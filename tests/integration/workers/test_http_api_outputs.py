"""The http worker's handler against APIs of the test: what its answers become, and what never gets out."""

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.support.patience import eventually
from workers.http_api import api_run
from workers.http_api.run import http_api
from workers.http_api.settings import HttpApiSettings
from workers.kit.faults import permanent
from workers.kit.testing import Outcome, RunningStep, WorkerTest

KEY = 'k3y "of" the/API+1'
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
MP4 = b"\x00\x00\x00\x20ftypisom" + bytes(300)


class Api:
    """Answers by path with what the test gives; `calls` are the paths with queries."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[web.Request], web.StreamResponse]] = {}
        self.calls: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.calls.append(request.path_qs)
        await request.read()
        return self.answers[request.path](request)

    def gives(self, body: Any, path: str = "/make", **more: Any) -> None:
        self.answers[path] = lambda _: web.json_response(body, **more)

    def file(self, path: str, data: bytes, kind: str = "image/png") -> str:
        self.answers[path] = lambda _: web.Response(body=data, content_type=kind)
        return f"{self.url}{path}"

    def payload(self, expression: str = ".urls[]", **changes: Any) -> dict[str, Any]:
        headers = {"Authorization": "Bearer {{API_KEY}}"}
        request = {"method": "POST", "url": f"{self.url}/make", "headers": headers, "body": {"a": 1}}
        return {"request": request, "success": [200], "fetch": "wait", "wait": {"outputExprJq": expression}, **changes}


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    played = Api()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", played.handle)
    async with TestServer(app) as server:
        played.url = str(server.make_url("")).rstrip("/")
        yield played


@contextlib.asynccontextmanager
async def worker(private: str = "127.0.0.0/8", **settings: Any) -> AsyncIterator[Any]:
    """`run(payload, **options)` runs a step of the http worker."""

    async def secret(name: str) -> str:
        if name != "API_KEY":
            raise permanent("SECRET_MISSING", f"The secret {name} is not set")
        return KEY

    @contextlib.asynccontextmanager
    async def source() -> AsyncIterator[Any]:
        yield secret

    definition = http_api(HttpApiSettings(nats_url="nats://x:1", emprops_private_hosts=private, **settings), source)
    async with WorkerTest(definition) as test:

        async def run(payload: dict[str, Any], **options: Any) -> Outcome:
            return await test.run("http_api", payload, workflow_type="fetch_api", **options)

        def start(payload: dict[str, Any]) -> RunningStep:
            return test.start("http_api", payload, workflow_type="fetch_api")

        run.start = start  # type: ignore[attr-defined]  # an attribute of the function
        yield run


async def test_several_files_are_stored_in_order(api: Api) -> None:
    api.gives({"urls": [api.file("/1.png", PNG), api.file("/2.mp4", MP4, "application/octet-stream")]})
    async with worker() as run:
        outcome = await run(api.payload())
    assert [output.mime_type for output in outcome.outputs] == ["image/png", "video/mp4"]
    assert list(outcome.files.values()) == [PNG, MP4]
    assert [name.rpartition(".")[2] for name in outcome.files] == ["png", "mp4"]


async def test_texts_and_values_are_outputs_too(api: Api) -> None:
    api.gives({"urls": ["a fox", {"seed": 7}, 12.5, ["x"]]})
    async with worker() as run:
        outcome = await run(api.payload())
    assert (outcome.texts, outcome.values) == (["a fox"], [{"seed": 7}, 12.5, ["x"]])


@pytest.mark.parametrize(
    "text", [base64.b64encode(PNG).decode(), f"data:image/png;base64,{base64.b64encode(PNG).decode()}"]
)
async def test_a_file_in_the_answer_itself_is_stored(api: Api, text: str) -> None:
    api.gives({"urls": [text]})
    async with worker() as run:
        outcome = await run(api.payload())
    assert list(outcome.files.values()) == [PNG]


async def test_an_answer_that_is_a_file_or_a_text_is_the_output(api: Api) -> None:
    async with worker() as run:
        api.file("/make", MP4, "video/mp4")
        assert list((await run(api.payload())).files.values()) == [MP4]
        api.file("/make", b"plain words", "text/plain")
        assert (await run(api.payload())).texts == ["plain words"]


async def test_a_redirect_of_a_file_is_followed_to_public_addresses_only(api: Api) -> None:
    api.file("/1.png", PNG)

    def to(target: str) -> Callable[[web.Request], web.StreamResponse]:
        return lambda _: web.Response(status=302, headers={"Location": target})

    async with worker() as run:
        api.gives({"urls": [f"{api.url}/moved"]})
        api.answers["/moved"] = to("/1.png")
        assert list((await run(api.payload())).files.values()) == [PNG]
        for inner in ("http://[::1]/x", "http://10.0.0.1/x", "http://169.254.169.254/latest", "ftp://example.com/x"):
            api.answers["/moved"] = to(inner)
            outcome = await run(api.payload())
            assert (outcome.error and outcome.error.code, outcome.files) == ("API_ADDRESS", {})


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "127.1", "[::1]", "[::ffff:7f00:1]"]
)
async def test_no_spelling_of_this_machine_is_called(api: Api, host: str) -> None:
    port = api.url.rpartition(":")[2]
    async with worker("") as run:
        payload = api.payload()
        payload["request"]["url"] = f"http://{host}:{port}/make"
        outcome = await run(payload)
    assert outcome.error
    assert outcome.error.code in {"API_ADDRESS", "API_REQUEST"}
    assert (outcome.error.retryable, api.calls) == (False, [])


async def test_a_file_that_is_too_large_is_not_stored(api: Api) -> None:
    api.gives({"urls": [api.file("/1.png", PNG * 10)]})
    async with worker(api_file_max_bytes=len(PNG)) as run:
        outcome = await run(api.payload())
    assert (outcome.error and outcome.error.code, outcome.files) == ("API_FILE", {})


async def test_an_answer_that_is_too_large_is_not_read(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_run, "MAX_ANSWER", 1000)
    api.gives({"urls": ["x" * 2000]})
    async with worker() as run:
        outcome = await run(api.payload())
    assert outcome.error
    assert outcome.error.code == "API_ANSWER"


async def test_a_secret_that_the_api_repeats_gets_out_nowhere(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    """In texts, JSON, errors, checkpoints, names of files, logs; in any of its spellings."""
    echoes = [{KEY: [f"Bearer {KEY}", json.dumps(KEY)]}, f"you sent {KEY}", f"{api.url}/1.png?key={KEY}"]
    async with worker() as run:
        api.file("/1.png", PNG)
        api.gives({"urls": echoes})
        outcome = await run(api.payload())
        assert outcome.values == [{"***": ["Bearer ***", '"***"']}]
        assert outcome.texts == ["you sent ***"]
        assert list(outcome.files.values()) == [PNG]
        assert outcome.checkpoints[-1]["values"][1] == "you sent {{API_KEY}}"
        api.gives({"error": f"bad key {KEY}"}, status=401)
        refused = await run(api.payload())
        jq = await run(api.payload('error("no")'), checkpoint=None)
    assert refused.error
    assert refused.error.code == "API_REFUSED"
    output = repr((outcome.outputs, outcome.checkpoints, list(outcome.files), refused, jq)) + capsys.readouterr().out
    assert not any(form in output for form in (KEY, "k3y", "the%2FAPI"))


async def test_a_missing_secret_fails_the_step_for_good(api: Api) -> None:
    payload = api.payload()
    payload["request"]["headers"]["X-Key"] = "{{OTHER}}"
    async with worker() as run:
        outcome = await run(payload)
    assert outcome.error
    assert (outcome.error.code, outcome.error.retryable, api.calls) == ("SECRET_MISSING", False, [])


async def test_what_a_call_has_returned_is_not_paid_for_again(api: Api) -> None:
    api.gives({"urls": ["a fox"]})
    async with worker() as run:
        first = await run(api.payload())
        second = await run(api.payload(), checkpoint=first.checkpoints[-1])
    assert (second.texts, api.calls) == (["a fox"], ["/make"])


async def test_a_failed_task_is_left_and_a_resumed_step_starts_another(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It starts another under another idempotency key, or the API would answer with the failed one."""
    monkeypatch.setattr(api_run, "POLL_SECONDS", 0.01)
    keys: list[str] = []

    def start(request: web.Request) -> web.Response:
        keys.append(request.headers["Idempotency-Key"])
        return web.json_response({"id": len(keys)})

    api.answers["/make"] = start
    api.gives({"status": "FAILED"}, "/tasks/1")
    api.gives({"status": "DONE", "text": "ok"}, "/tasks/2")
    polling = {
        "url": f"{api.url}/tasks/{{id}}",
        "params": {"id": {"exprJq": ".id"}},
        "continueWhenExpr": "data.status == 'RUNNING'",
        "stopWhenExpr": "data.status == 'FAILED'",
        "outputExprJq": ".text",
        "successResponseCode": [200],
    }
    payload = api.payload(fetch="polling", polling=polling)
    async with worker() as run:
        failed = await run(payload)
        assert (failed.error and failed.error.code, failed.checkpoints[-1]) == ("API_FAILED", {})
        resumed = await run(payload, checkpoint=failed.checkpoints[-1])
    assert resumed.texts == ["ok"]
    assert len(set(keys)) == 2


async def test_a_cancelled_step_polls_no_more_and_a_resumed_one_goes_on(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_run, "POLL_SECONDS", 0.01)
    api.gives({"id": "1"})
    api.gives({"status": "RUNNING"}, "/tasks/1")
    polling = {
        "url": f"{api.url}/tasks/{{id}}",
        "params": {"id": {"exprJq": ".id"}},
        "continueWhenExpr": "data.status == 'RUNNING'",
        "outputExprJq": ".text",
        "successResponseCode": [200],
    }
    payload = api.payload(fetch="polling", polling=polling)
    async with worker() as run:
        running = run.start(payload)
        await eventually(lambda: "/tasks/1" in api.calls, "the task to be polled")
        running.cancel()
        cancelled = await running.outcome()
        assert cancelled.error
        assert cancelled.error.code == "CANCELLED"
        looks = len(api.calls)
        api.gives({"status": "DONE", "text": "ok"}, "/tasks/1")
        resumed = await run(payload, checkpoint=cancelled.checkpoints[-1])
    assert resumed.texts == ["ok"]
    assert api.calls[looks:] == ["/tasks/1"]


async def test_the_deadline_bounds_everything(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_run, "POLL_SECONDS", 0.01)
    api.gives({"id": "1"})
    api.gives({"status": "RUNNING"}, "/tasks/1")
    polling = {
        "url": f"{api.url}/tasks/{{id}}",
        "params": {"id": {"exprJq": ".id"}},
        "continueWhenExpr": "data.status == 'RUNNING'",
        "successResponseCode": [200],
    }
    async with worker() as run:
        outcome = await run(api.payload(fetch="polling", polling=polling), seconds=0.5)
    assert outcome.error
    assert outcome.error.code == "DEADLINE_EXCEEDED"
    assert outcome.checkpoints == [{"parameters": {"id": "1"}}]
