"""Which service gets a request, and whose."""

import asyncio
import base64
import json
import time
from typing import Any
from uuid import uuid4

import pytest
import yarl

from tests.support.edge_client import EdgeClient
from tests.support.tokens import TokenIssuer
from tests.support.upstream import UpstreamStub

Services = dict[str, UpstreamStub]
ID = "6f1c0a52-6f0e-4a55-9d5c-0d8f6f0a7c11"

ROUTED = [
    ("GET", "/projects", "collections"),
    ("POST", "/projects/collections?project_id=1&asset_id=2", "collections"),
    ("PUT", f"/projects/{ID}/collections/{ID}", "collections"),
    ("GET", f"/collections/{ID}", "collections"),
    ("POST", f"/collections/{ID}/publish", "collections"),
    ("POST", f"/collections/{ID}/generations", "generation"),
    ("GET", "/jobs", "generation"),
    ("GET", f"/jobs/{ID}/events", "generation"),
    ("GET", "/workflows/sketch", "generation"),
    ("GET", "/assets", "storage"),
    ("POST", "/assets", "storage"),
    ("GET", "/assets/7/content", "storage"),
    ("DELETE", "/users/me/assets", "storage"),
    ("GET", "/credits", "credits"),
    ("POST", "/credits/grants", "credits"),
]


@pytest.mark.parametrize(("method", "path", "service"), ROUTED)
async def test_an_address_belongs_to_one_service(edge: EdgeClient, method: str, path: str, service: str) -> None:
    """Method, path and query arrive there as they were sent."""
    status, answer = await edge.json(method, path)
    assert status == 200
    assert (answer["service"], answer["method"]) == (service, method)
    assert (answer["path"] + ("?" + answer["query"] if answer["query"] else "")) == path


@pytest.mark.parametrize(
    "path",
    [
        "/collections",
        f"/collections/{ID}/public",
        f"/collections/{ID}/metadata",
        f"/collections/{ID}/revisions",
        f"/collections/{ID}/tokens",
        f"/collections/{ID}/tokens/1.json",
        f"/collections/{ID}/tokens/1/metadata",
        f"/collections/{ID}/tokens/1/image",
        f"/collections/{ID}/tokens/1/animation",
        f"/collections/{ID}/tokens/1/thumbnail",
        "/feed",
        f"/c/{ID}",
        f"/c/{ID}?page=2",
        f"/c/{ID}/1",
        "/ipfs/bafkqaaa",
        "/ipfs/bafkqaaa/metadata/base/1.json?format=car",
    ],
)
async def test_public_addresses_need_no_token(edge: EdgeClient, path: str) -> None:
    """What anyone may read is passed on without one."""
    assert (await edge.json("GET", path, anonymous=True))[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "service"),
    [*ROUTED, ("POST", "/collections", ""), ("POST", "/uploads", ""), ("POST", "/api/collections/generate", "")],
)
async def test_all_others_need_one(edge: EdgeClient, services: Services, method: str, path: str, service: str) -> None:
    """401 from the edge itself; no request reaches a service."""
    status, problem = await edge.json(method, path, anonymous=True)
    assert (status, problem["code"]) == (401, "UNAUTHENTICATED")
    assert not any(stub.requests for stub in services.values()), service


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/nothing",
        "/projectsx",
        "/collections/../jobs",
        "/collections/%2e%2e/jobs",
        "/collections/./x",
        "/internal/metrics",
        "/users/you/assets",
        "/c",
        f"/c/{ID}/1/image",
        "/api/collections",
        "//",
    ],
)
async def test_other_addresses_are_nowhere(edge: EdgeClient, services: Services, path: str) -> None:
    """404 from the edge, also for paths that could mean one thing here and another one there."""
    headers = edge.issuer.bearer()
    async with edge.session.get(yarl.URL(edge.url + path, encoded=True), headers=headers) as response:
        problem = await response.json(content_type=None)
    assert (response.status, problem["code"]) == (404, "NOT_FOUND")
    assert not any(stub.requests for stub in services.values())


def b64(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


async def test_forged_tokens_are_refused(edge: EdgeClient, services: Services, issuer: TokenIssuer) -> None:
    """Expired, for another audience, of another issuer or key, unsigned, or cut: 401, and no service gets it."""
    header, payload, signature = issuer.token().split(".")
    forged = [
        issuer.token(exp=int(time.time()) - 60),
        issuer.token(aud="elsewhere"),
        issuer.token(iss="elsewhere"),
        TokenIssuer("elsewhere").token(),
        TokenIssuer(issuer.iss, kid=issuer.kid).token(),
        f"{b64({'alg': 'none', 'kid': issuer.kid})}.{payload}.",
        f"{header}.{payload}.",
        f"{header}.{payload}.{signature[:-4]}",
        "x",
    ]
    for token in forged:
        status, problem = await edge.json("GET", "/credits", headers={"Authorization": f"Bearer {token}"})
        assert (status, problem["code"]) == (401, "UNAUTHENTICATED"), token
    assert not services["credits"].requests


async def test_upload_grants_open_two_addresses(edge: EdgeClient, services: Services, grants: TokenIssuer) -> None:
    """A worker's grant reads contents and uploads, nothing else; a user doesn't upload as a worker does."""
    grant = grants.bearer(None, "worker", grant={"prefix": "generations/"})
    assert (await edge.json("GET", "/assets/7/content", headers=grant))[0] == 200
    assert (await edge.json("POST", "/uploads", headers=grant, data=b"bytes"))[0] == 200
    for method, path in [("GET", "/assets"), ("GET", "/assets/7"), ("POST", "/assets"), ("GET", "/credits")]:
        assert (await edge.json(method, path, headers=grant))[0] == 403
    assert (await edge.json("POST", "/uploads", data=b"bytes"))[0] == 403
    assert (await edge.json("GET", "/credits", headers=grants.bearer(None, "operator")))[0] == 403
    assert services["storage"].requests[0].headers["authorization"] == grant["Authorization"]


async def test_a_service_sees_who_asked_and_in_which_trace(edge: EdgeClient) -> None:
    """Token, correlation id and trace go on; forwarding headers are the edge's own, hop-by-hop ones stay behind."""
    correlation = str(uuid4())
    sent = {
        "X-Correlation-ID": correlation,
        "traceparent": f"00-{'a' * 32}-{'b' * 16}-01",
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Host": "evil.test",
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
        "Idempotency-Key": "k",
        "If-Match": '"3"',
        "Accept-Language": "de",
        "X-Filename": "blau-%C3%A4.png",
        "X-Title": "blau-\u00e4",
    }
    async with edge.request("POST", "/projects", headers=sent, json={"name": "x"}) as response:
        headers = (await response.json())["headers"]
        assert response.headers.getall("X-Correlation-ID") == [correlation]
    assert headers["x-correlation-id"] == correlation
    assert headers["traceparent"].startswith(f"00-{'a' * 32}-")
    assert headers["traceparent"] != sent["traceparent"]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-host"] == edge.url.removeprefix("http://")
    assert headers["x-forwarded-proto"] == "http"
    assert headers["authorization"].startswith("Bearer ")
    assert (headers["idempotency-key"], headers["if-match"], headers["accept-language"]) == ("k", '"3"', "de")
    assert (headers["x-filename"], headers["x-title"]) == ("blau-%C3%A4.png", "blau-\u00e4")
    assert not {"x-hop", "te", "accept-encoding-x", "transfer-encoding"} & set(headers)


@pytest.mark.parametrize("value", ["caf\u00e9", "cafe\u0301", "\U0001f3a8", "a\u00a0b"])
async def test_a_header_beyond_ascii_arrives_byte_by_byte(edge: EdgeClient, value: str) -> None:
    async with edge.request("GET", "/projects", headers={"X-Title": value}) as response:
        assert (await response.json())["headers"]["x-title"] == value


@pytest.mark.parametrize("name", [b"X-Title", b"User-Agent", b"Host"])
@pytest.mark.parametrize("value", [b"caf\xe9", b"\xed\xa0\x80", b"\xff"])
async def test_a_header_that_is_not_utf8_is_refused(
    edge: EdgeClient, services: Services, issuer: TokenIssuer, name: bytes, value: bytes
) -> None:
    """It could not be passed on unchanged, and a request without it is another request."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(edge.url.rsplit(":", 1)[1]))
    host = b"" if name == b"Host" else b"Host: x\r\n"
    authorization = issuer.bearer()["Authorization"].encode()
    writer.write(b"GET /projects HTTP/1.1\r\nConnection: close\r\nAuthorization: " + authorization + b"\r\n")
    writer.write(host + name + b": " + value + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert name.lower() in answer.lower()
    assert services["collections"].requests == []


async def test_what_a_service_answers_goes_through_as_it_is(edge: EdgeClient, services: Services) -> None:
    """Status, headers and body, also of errors; a redirect is the client's to follow."""

    async def refuse(exchange: Any) -> None:
        await exchange.answer(
            b'{"code": "INSUFFICIENT_CREDITS"}', 402, content_type="application/problem+json", etag='"7"', x_custom="1"
        )

    async def redirect(exchange: Any) -> None:
        await exchange.answer(b"", 307, location="https://cdn.test/file")

    services["credits"].answer = refuse
    async with edge.request("GET", "/credits") as response:
        assert (response.status, await response.read()) == (402, b'{"code": "INSUFFICIENT_CREDITS"}')
        assert response.content_type == "application/problem+json"
        assert (response.headers["ETag"], response.headers["X-Custom"]) == ('"7"', "1")
        assert len(response.headers.getall("Date")) == 1
    services["credits"].answer = redirect
    async with edge.request("GET", "/credits", allow_redirects=False) as response:
        assert (response.status, response.headers["Location"]) == (307, "https://cdn.test/file")
