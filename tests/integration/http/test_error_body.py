"""One error body for everything that can go wrong with a request, on a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import jsonschema
import msgspec
import pytest
import pytest_asyncio
from litestar import Litestar, Response, get, post

from shared.contracts.problem import Problem
from shared.eventstore import Context, StoreUnavailable
from shared.http import (
    Authenticator,
    CommandContext,
    Cursor,
    Envelope,
    FromPath,
    GivenPrecondition,
    Issuer,
    JSONBody,
    Limit,
    Page,
    User,
    create_app,
    decode_cursor,
    require_role,
)
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer


class Step(msgspec.Struct):
    id: int


class Draft(msgspec.Struct):
    data: list[Step]
    title: str = ""


class Made(msgspec.Struct):
    user_id: UUID
    context: Context
    versions: list[int]
    draft: Draft


@post("/projects/{project_id:uuid}/drafts")
async def make(
    project_id: FromPath[UUID],
    data: JSONBody[Draft],
    principal: User,
    context: CommandContext,
    precondition: GivenPrecondition,
) -> Envelope[Made]:
    """Answers what it was given."""
    return Envelope(Made(principal.user_id, context, sorted(precondition.any_of or ()), data))


@get("/drafts")
async def drafts(limit: Limit = 20, cursor: Cursor = None) -> Page[Step]:
    """A list."""
    position = decode_cursor(cursor, int) if cursor else 0
    return Page([Step(position)] * min(limit, 3))


@post("/conflict")
async def conflict() -> None:
    raise Problem("VERSION_CONFLICT", "It has changed since")


@get("/bug")
async def bug() -> None:
    raise RuntimeError("postgresql://u:hunter2@h")


@get("/outage")
async def outage() -> None:
    raise StoreUnavailable("postgresql://u:hunter2@h")


@get("/operators", guards=[require_role("operator")])
async def operators() -> Envelope[str]:
    return Envelope("yes")


@get("/workers", opt={"roles": {"worker"}})
async def workers() -> Envelope[str]:
    return Envelope("yes")


@get("/open", opt={"public": True})
async def public() -> Response[str]:
    return Response("yes")


ROUTES = [make, drafts, conflict, bug, outage, operators, workers, public]


@dataclass
class Service:
    client: aiohttp.ClientSession
    url: str
    issuer: TokenIssuer
    app: Litestar

    async def call(self, method: str, path: str, *roles: str, **options: Any) -> tuple[aiohttp.ClientResponse, Any]:
        """The response, and its body as JSON; with a user's token unless headers are given."""
        options["headers"] = {**self.issuer.bearer(None, *roles), **options.get("headers", {})}
        async with self.client.request(method, self.url + path, **options) as response:
            text = await response.read()
            return response, json.loads(text) if text else None


@pytest_asyncio.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    issuer = TokenIssuer()
    roles = frozenset({"user", "operator", "worker"})
    app = create_app(
        title="Drafts",
        route_handlers=ROUTES,
        authenticator=Authenticator([Issuer(issuer.iss, issuer.jwks_file(tmp_path), roles)], AUDIENCE),
        max_body_bytes=10_000,
    )
    async with serving(app) as url, aiohttp.ClientSession() as client:
        yield Service(client, url, issuer, app)


DRAFTS = f"/projects/{uuid4()}/drafts"
JSON = {"Content-Type": "application/json"}


@dataclass
class Case:
    method: str
    path: str
    status: int
    code: str
    pointer: str | None = None
    body: bytes | None = None
    headers: dict[str, str] | None = None


CASES = {
    "a wrong type": Case("POST", DRAFTS, 400, "VALIDATION_FAILED", "/data/0/id", b'{"data": [{"id": "1"}]}', JSON),
    "a missing field": Case("POST", DRAFTS, 400, "VALIDATION_FAILED", "/data", b"{}", JSON),
    "broken JSON": Case("POST", DRAFTS, 400, "VALIDATION_FAILED", "", b'{"data": [', JSON),
    "no body": Case("POST", DRAFTS, 400, "VALIDATION_FAILED", "", None, JSON),
    "no UTF-8": Case("POST", DRAFTS, 400, "VALIDATION_FAILED", "", b'{"data": [], "title": "\xff"}', JSON),
    "too deep": Case("POST", DRAFTS, 400, "VALIDATION_FAILED", "", b"[" * 200 + b"]" * 200, JSON),
    "form data": Case("POST", DRAFTS, 415, "UNSUPPORTED_MEDIA_TYPE", None, b"a=1", {"Content-Type": "text/plain"}),
    "too large": Case("POST", DRAFTS, 413, "PAYLOAD_TOO_LARGE", None, b" " * 10_001, JSON),
    "a stale tag": Case(
        "POST", DRAFTS, 412, "VERSION_CONFLICT", "header:If-Match", b'{"data": []}', {**JSON, "If-Match": '"x"'}
    ),
    "an empty key": Case(
        "POST",
        DRAFTS,
        400,
        "VALIDATION_FAILED",
        "header:Idempotency-Key",
        b'{"data": []}',
        {**JSON, "Idempotency-Key": ""},
    ),
    "a limit that is no number": Case("GET", "/drafts?limit=many", 400, "VALIDATION_FAILED", "?limit"),
    "a limit too large": Case("GET", "/drafts?limit=101", 400, "VALIDATION_FAILED", "?limit"),
    "an endless limit": Case("GET", f"/drafts?limit={'9' * 5000}", 400, "VALIDATION_FAILED", "?limit"),
    "a foreign cursor": Case("GET", "/drafts?cursor=abc", 400, "VALIDATION_FAILED", "?cursor"),
    "U+0000 in the query": Case("GET", "/drafts?cursor=%00", 400, "VALIDATION_FAILED"),
    "U+0000 in the path": Case("GET", "/drafts/%00", 400, "VALIDATION_FAILED"),
    "a path that is no UUID": Case("POST", "/projects/mine/drafts", 404, "NOT_FOUND", None, b"{}", JSON),
    "an unknown path": Case("GET", "/nothing", 404, "NOT_FOUND"),
    "an unknown method": Case("DELETE", "/drafts", 405, "METHOD_NOT_ALLOWED"),
    "a conflict": Case("POST", "/conflict", 409, "VERSION_CONFLICT"),
    "a stale If-Match": Case("POST", "/conflict", 412, "VERSION_CONFLICT", headers={"If-Match": '"1"'}),
    "a bug": Case("GET", "/bug", 500, "INTERNAL_ERROR"),
    "the database down": Case("GET", "/outage", 503, "UNAVAILABLE"),
    "a token of nobody": Case("GET", "/drafts", 401, "UNAUTHENTICATED", headers={"Authorization": "Bearer x.y.z"}),
    "another scheme": Case("GET", "/drafts", 401, "UNAUTHENTICATED", headers={"Authorization": "Basic eHg6eHg="}),
    "too low a role": Case("GET", "/operators", 403, "FORBIDDEN"),
    "a user among workers": Case("GET", "/workers", 403, "FORBIDDEN"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_every_refusal_has_the_one_error_body(service: Service, case: Case) -> None:
    """Status, code and pointer say what is wrong; the shape is always the documented one; nothing inside leaks."""
    response, body = await service.call(case.method, case.path, data=case.body, headers=case.headers or {})

    assert (response.status, body["code"]) == (case.status, case.code)
    assert response.content_type == "application/problem+json"
    assert set(body) == {"type", "title", "status", "detail", "code", "details", "data", "error"}
    assert body["status"] == response.status
    assert body["data"] is None
    assert body["error"] == body["detail"] != ""
    if case.pointer is not None:
        assert [detail["pointer"] for detail in body["details"]] == [case.pointer]
    assert "hunter2" not in json.dumps(body)
    assert UUID(response.headers["X-Correlation-ID"])


async def test_refusals_carry_the_headers_http_asks_for(service: Service) -> None:
    """401 names the scheme, 405 the methods, 503 when to come back."""
    unauthenticated, _ = await service.call("GET", "/drafts", headers={"Authorization": ""})
    not_allowed, _ = await service.call("DELETE", "/drafts")
    unavailable, _ = await service.call("GET", "/outage")
    assert unauthenticated.headers["WWW-Authenticate"].startswith("Bearer")
    assert "GET" in not_allowed.headers["Allow"]
    assert unavailable.headers["Retry-After"] == "1"


async def test_roles_open_what_they_are_for(service: Service) -> None:
    """Operators pass the guard, workers only routes that take them, and public routes need no token."""
    user = uuid4()
    statuses = [
        (await service.call(method, path, *roles))[0].status
        for method, path, *roles in [
            ("GET", "/operators", "user", "operator"),
            ("GET", "/workers", "worker"),
            ("GET", "/drafts", "worker"),
            ("GET", "/drafts", "nobody"),
        ]
    ]
    assert statuses == [200, 200, 403, 403]
    async with service.client.get(f"{service.url}/open") as response:
        assert response.status == 200
    _, body = await service.call("POST", DRAFTS, json={"data": []}, headers=service.issuer.bearer(user))
    assert body["data"]["user_id"] == str(user)


async def test_a_request_is_one_command_in_one_trace(service: Service) -> None:
    """Correlation id, trace and key of the request are those of its command, and the id is answered."""
    correlation = str(uuid4())
    headers = {
        "X-Correlation-ID": correlation,
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "Idempotency-Key": "once",
        "If-Match": '"4"',
        **service.issuer.bearer(uuid4()),
    }
    first, body = await service.call("POST", DRAFTS, json={"data": [{"id": 1}]}, headers=headers)
    _, again = await service.call("POST", DRAFTS, json={"data": [{"id": 1}]}, headers=headers)
    context = body["data"]["context"]
    assert first.headers["X-Correlation-ID"] == context["correlation_id"] == correlation
    assert context["traceparent"].startswith(f"00-{'a' * 32}-")
    assert context["repeatable"] is True
    assert context["command_id"] == again["data"]["context"]["command_id"]
    assert body["data"]["versions"] == [4]


async def test_a_body_without_a_length_is_bounded_too(service: Service) -> None:
    """Chunked bodies are cut off at the limit."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 4096
            await asyncio.sleep(0)

    response, body = await service.call("POST", DRAFTS, data=endless(), headers=JSON)
    assert (response.status, body["code"]) == (413, "PAYLOAD_TOO_LARGE")


async def test_the_document_describes_operations_and_errors(service: Service) -> None:
    """OpenAPI 3.1 with the security scheme, the error responses, and a schema that the real error body fits."""
    _, document = await service.call("GET", "/schema/openapi.json")
    assert document["openapi"].startswith("3.1")
    make_draft = document["paths"]["/projects/{project_id}/drafts"]["post"]
    assert {"201", "400", "401", "404", "412", "413"} <= set(make_draft["responses"])
    assert "application/problem+json" in make_draft["responses"]["400"]["content"]
    assert document["paths"]["/open"]["get"]["security"] == []
    assert {each["name"] for each in make_draft["parameters"]} == {"project_id", "Idempotency-Key", "If-Match"}
    assert make_draft["operationId"] == "make"
    assert {"EnvelopeOfMade", "PageOfStep"} <= set(document["components"]["schemas"])
    assert not {path for path in document["paths"] if path.startswith(("/health", "/metrics", "/schema"))}

    _, problem = await service.call("GET", "/drafts?limit=0")
    schema = {"$ref": "#/components/schemas/ProblemBody", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(problem)


async def test_metrics_count_by_route_template(service: Service) -> None:
    """Ids in paths do not become labels, and unknown paths share one."""
    await service.call("POST", DRAFTS, json={"data": []})
    await service.call("GET", "/nothing/1")
    async with service.client.get(f"{service.url}/metrics") as response:
        text = await response.text()
    assert 'route="/projects/{project_id}/drafts",status="201"' in text
    assert 'route="unmatched",status="404"' in text
    assert "process_resident_memory_bytes" in text


async def test_health_answers_without_a_token(service: Service) -> None:
    """Live and ready are for machines that have none."""
    for path in ("/health/live", "/health/ready"):
        async with service.client.get(service.url + path) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok", "checks": {}})
