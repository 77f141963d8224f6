"""All errors of requests have one body, on a real server."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

import pytest

from tests.integration.http.drafts import DRAFTS, JSON, Service


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
async def test_every_error_has_the_same_body(service: Service, case: Case) -> None:
    """Status, code and pointer state the fault; internal details are not included."""
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


async def test_errors_have_the_headers_that_http_requires(service: Service) -> None:
    """WWW-Authenticate with 401, Allow with 405, Retry-After with 503."""
    unauthenticated, _ = await service.call("GET", "/drafts", headers={"Authorization": ""})
    not_allowed, _ = await service.call("DELETE", "/drafts")
    unavailable, _ = await service.call("GET", "/outage")
    assert unauthenticated.headers["WWW-Authenticate"].startswith("Bearer")
    assert "GET" in not_allowed.headers["Allow"]
    assert unavailable.headers["Retry-After"] == "1"


async def test_a_chunked_body_is_bounded(service: Service) -> None:
    """Chunked bodies are cut off at the limit."""

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 4096
            await asyncio.sleep(0)

    response, body = await service.call("POST", DRAFTS, data=endless(), headers=JSON)
    assert (response.status, body["code"]) == (413, "PAYLOAD_TOO_LARGE")
