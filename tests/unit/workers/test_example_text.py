"""The example worker against a small server that speaks OpenAI's chat completions."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from tests.support.patience import PATIENCE
from workers.examples.text import worker
from workers.kit.testing import WorkerTest

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Model:
    """Answers each request with the next of `answers`, and the last one again and again."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], Any]] = []
        self.answers: list[tuple[int, Any]] = [(200, completion("Grey water, three boats."))]

    async def complete(self, request: web.Request) -> web.Response:
        self.requests.append((dict(request.headers), await request.json()))
        status, body = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return web.Response(status=status, text=body if isinstance(body, str) else json.dumps(body))


def completion(text: str) -> dict[str, Any]:
    return {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}]}


@pytest_asyncio.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Model]:
    model = Model()
    application = web.Application()
    application.add_routes([web.post("/v1/chat/completions", model.complete)])
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
    monkeypatch.setenv("OPENAI_MODEL", "small")
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    yield model
    await runner.cleanup()


async def test_the_models_answer_is_the_steps_text(model: Model) -> None:
    async with WorkerTest(worker) as test:
        outcome = await test.run("text", {"prompt": "A harbour"})
    assert outcome.texts == ["Grey water, three boats."]
    [(headers, body)] = model.requests
    assert headers["Authorization"] == "Bearer key"
    assert body == {"model": "small", "messages": [{"role": "user", "content": "A harbour"}]}


async def test_a_server_that_is_busy_is_asked_again(model: Model) -> None:
    model.answers = [(429, {"error": {"message": "slow down"}}), (503, "restarting"), (200, completion("here"))]
    async with WorkerTest(worker, patience=PATIENCE) as test:
        assert (await test.run("text", {"prompt": "x"})).texts == ["here"]
    assert len(model.requests) == 3


@pytest.mark.parametrize(
    ("status", "body", "code", "retryable", "message"),
    [
        (401, {"error": {"message": "wrong key"}}, "REFUSED", False, "model: 401 wrong key"),
        (404, {"error": "no such model"}, "REFUSED", False, "model: 404 no such model"),
        (500, "broken", "UNAVAILABLE", True, "model: 500"),
        (200, "not JSON", "UNAVAILABLE", True, "model: the answer is not JSON"),
        (200, {"choices": []}, "UNAVAILABLE", True, "model: the answer has no text"),
        (200, "x" * 2**21, "ANSWER_TOO_LARGE", False, "model: the answer has more than 1048576 bytes"),
    ],
)
async def test_other_answers_fail_the_step(
    model: Model, status: int, body: object, code: str, *, retryable: bool, message: str
) -> None:
    model.answers = [(status, body)]
    async with WorkerTest(worker) as test:
        error = (await test.run("text", {"prompt": "x"})).error
    assert error is not None
    assert (error.code, error.retryable, error.message) == (code, retryable, message)


async def test_a_server_that_is_away_is_a_transient_fault(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    async with WorkerTest(worker) as test:
        error = (await test.run("text", {"prompt": "x"})).error
    assert error is not None
    assert (error.code, error.retryable) == ("UNAVAILABLE", True)


async def test_a_prompt_is_required(model: Model) -> None:
    async with WorkerTest(worker) as test:
        error = (await test.run("text", {})).error
    assert error is not None
    assert (error.code, error.message) == ("VALIDATION_FAILED", "/prompt: is required")
    assert not model.requests
