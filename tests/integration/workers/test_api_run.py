"""One call of an API by the http worker, against a server of the test."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.public_addresses import PublicAddresses, PublicResolver
from workers.http_api import api_run
from workers.http_api.api_run import ApiRun, retry_after
from workers.http_api.redaction import Redaction
from workers.kit.faults import StepFault

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
KEY = "s3cret-value"


class Api:
    """Answers what the test has put into `answers`, by path, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, list[web.Response]] = {}
        self.asked: list[tuple[str, str, dict[str, str], str]] = []
        self.checkpoints: list[dict[str, Any]] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path_qs, dict(request.headers), await request.text()))
        return self.answers[request.path].pop(0)

    def run(self, http: aiohttp.ClientSession, *allowed: str) -> ApiRun:
        redaction = Redaction()

        async def secret(name: str) -> str:
            redaction.add(name, KEY)
            return {"API_KEY": KEY}[name]

        async def store(checkpoint: dict[str, Any]) -> None:
            self.checkpoints.append(redaction.with_names(checkpoint))

        addresses = PublicAddresses(allowed or ["127.0.0.0/8"])
        return ApiRun(http, addresses, secret, redaction, store, random.Random(1), lambda: NOW, "sid-1")

    def payload(self, **changes: Any) -> dict[str, Any]:
        headers = {"Authorization": "Bearer {{API_KEY}}"}
        request = {
            "method": "POST",
            "url": f"{self.url}/make?key={{{{API_KEY}}}}",
            "headers": headers,
            "body": {"a": 1},
        }
        return {
            "request": request,
            "success": [200, 202],
            "fetch": "wait",
            "wait": {"outputExprJq": ".urls[]"},
            **changes,
        }

    def polling(self, **changes: Any) -> dict[str, Any]:
        polling = {
            "method": "GET",
            "url": f"{self.url}/tasks/{{id}}",
            "params": {"id": {"exprJq": ".id"}},
            "continueWhenExpr": "data.status != 'SUCCEEDED'",
            "stopWhenExpr": "data.status == 'FAILED'",
            "outputExprJq": ".output[0]",
            "successResponseCode": [200],
            **changes,
        }
        return self.payload(fetch="polling", polling=polling)


@pytest_asyncio.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    monkeypatch.setattr(api_run, "POLL_SECONDS", 0.01)
    played = Api()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", played.handle)
    async with TestServer(app) as server:
        played.url = str(server.make_url("")).rstrip("/")
        yield played


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    resolver = PublicResolver(PublicAddresses(["127.0.0.0/8", "::1"]))
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as session:
        yield session


def answer(body: Any, status: int = 200, **headers: str) -> web.Response:
    return web.json_response(body, status=status, headers=headers)


async def test_the_request_gets_its_secrets_and_the_values_are_found(api: Api, http: aiohttp.ClientSession) -> None:
    api.answers["/make"] = [answer({"urls": ["https://x/1.png", "https://x/2.png"]}, 202)]
    outcome = await api.run(http).run(api.payload(), None)
    assert outcome.values == ["https://x/1.png", "https://x/2.png"]
    [(method, path, headers, body)] = api.asked
    assert (method, path, body) == ("POST", f"/make?key={KEY}", '{"a":1}')
    assert (headers["Authorization"], headers["Idempotency-Key"]) == (f"Bearer {KEY}", "sid-1")


async def test_a_task_is_polled_until_it_succeeds(api: Api, http: aiohttp.ClientSession) -> None:
    api.answers["/make"] = [answer({"id": "t/1"})]
    running = [answer({"status": status}) for status in ("PENDING", "RUNNING")]
    api.answers["/tasks/t/1"] = [*running, answer({"status": "SUCCEEDED", "output": ["https://x/v.mp4"]})]
    assert (await api.run(http).run(api.polling(), None)).values == ["https://x/v.mp4"]
    assert api.checkpoints == [{"parameters": {"id": "t/1"}}]
    assert api.asked[1][1] == "/tasks/t%2F1"
    assert api.asked[1][2]["Authorization"] == f"Bearer {KEY}"


async def test_a_task_that_was_started_is_polled_and_not_started_again(api: Api, http: aiohttp.ClientSession) -> None:
    api.answers["/tasks/t1"] = [answer({"status": "SUCCEEDED", "output": ["a"]})]
    outcome = await api.run(http).run(api.polling(), {"parameters": {"id": "t1"}})
    assert (outcome.values, [path for _, path, _, _ in api.asked]) == (["a"], ["/tasks/t1"])


async def test_a_task_that_failed_ends_the_step(api: Api, http: aiohttp.ClientSession) -> None:
    api.answers["/make"] = [answer({"id": "t1"})]
    api.answers["/tasks/t1"] = [answer({"status": "FAILED", "failure": f"no credits for {KEY}"})]
    with pytest.raises(StepFault) as fault:
        await api.run(http).run(api.polling(), None)
    assert (fault.value.error.code, fault.value.error.retryable) == ("API_FAILED", False)
    assert KEY not in fault.value.error.message


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_an_api_that_is_busy_is_asked_again_when_it_says(
    api: Api, http: aiohttp.ClientSession, status: int
) -> None:
    api.answers["/make"] = [answer({}, status, **{"Retry-After": "0"}), answer({"urls": ["a"]})]
    assert (await api.run(http).run(api.payload(), None)).values == ["a"]


async def test_an_api_that_stays_busy_leaves_the_step_to_its_next_attempt(
    api: Api, http: aiohttp.ClientSession
) -> None:
    api.answers["/make"] = [answer({}, 503, **{"Retry-After": "0"}) for _ in range(api_run.TRIES)]
    with pytest.raises(StepFault) as fault:
        await api.run(http).run(api.payload(), None)
    assert (fault.value.error.code, fault.value.error.retryable) == ("API_UNAVAILABLE", True)


async def test_a_refusal_is_told_without_the_secrets_that_it_repeats(api: Api, http: aiohttp.ClientSession) -> None:
    api.answers["/make"] = [answer({"error": f"key {KEY} has no credit"}, 402)]
    with pytest.raises(StepFault) as fault:
        await api.run(http).run(api.payload(), None)
    assert (fault.value.error.code, fault.value.error.retryable) == ("API_REFUSED", False)
    assert "has no credit" in fault.value.error.message
    assert api.checkpoints == [{}], "the next start has another key"
    assert KEY not in fault.value.error.message


async def test_a_redirect_is_not_followed(api: Api, http: aiohttp.ClientSession) -> None:
    """It would carry the secrets elsewhere."""
    api.answers["/make"] = [web.Response(status=302, headers={"Location": "/other"})]
    with pytest.raises(StepFault, match="API_REFUSED"):
        await api.run(http).run(api.payload(), None)
    assert len(api.asked) == 1


async def test_a_file_as_the_answer_is_the_output(api: Api, http: aiohttp.ClientSession) -> None:
    api.answers["/make"] = [web.Response(body=b"\x89PNG...", content_type="image/png")]
    outcome = await api.run(http).run(api.payload(), None)
    assert outcome.content is not None
    assert (outcome.content.content_type, outcome.content.body) == ("image/png", b"\x89PNG...")


async def test_an_answer_without_the_output_is_told(api: Api, http: aiohttp.ClientSession) -> None:
    api.answers["/make"] = [answer({"urls": []})]
    with pytest.raises(StepFault, match=r"nothing at \.urls\[\]"):
        await api.run(http).run(api.payload(), None)


async def test_a_private_address_is_not_called(api: Api, http: aiohttp.ClientSession) -> None:
    with pytest.raises(StepFault) as fault:
        await api.run(http, "10.0.0.0/8").run(api.payload(), None)
    assert (fault.value.error.code, api.asked) == ("API_ADDRESS", [])


async def test_a_name_of_a_private_address_is_not_called(api: Api) -> None:
    resolver = PublicResolver(PublicAddresses())
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(resolver=resolver)) as http:
        payload = api.payload()
        payload["request"]["url"] = api.url.replace("127.0.0.1", "localhost")
        with pytest.raises(StepFault) as fault:
            await api.run(http).run(payload, None)
    assert (fault.value.error.code, api.asked) == ("API_ADDRESS", [])


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("5", 5.0),
        ("Fri, 27 Nov 2026 12:00:30 GMT", 30.0),
        ("Fri, 27 Nov 2026 11:00:00 GMT", 0.0),
        ("x", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
