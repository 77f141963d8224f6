"""URLs, headers and bodies are accepted in one form only (docs/reference/http.md), on a real server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal
from uuid import UUID, uuid4

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from litestar import Response, get, post
from litestar.response import Stream
from yarl import URL

from shared.http import (
    Authenticator,
    Cursor,
    Envelope,
    FromPath,
    FromQuery,
    Issuer,
    JSONBody,
    Limit,
    create_app,
)
from tests.support.patience import PATIENCE, eventually
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

JSON = {"content-type": "application/json"}
THING = UUID("0192f7a8-6e3a-7c51-9a86-9f3f6a1c2b4d")


class Share(msgspec.Struct, forbid_unknown_fields=True):
    value: Decimal


class Note(msgspec.Struct, forbid_unknown_fields=True):
    text: str = ""
    data: dict[str, Any] = {}
    price: Decimal | None = None
    shares: list[Share] = []


@get("/things/{thing_id:uuid}/parts/{number:int}")
async def part(thing_id: FromPath[UUID], number: FromPath[int]) -> Envelope[str]:
    return Envelope(f"{thing_id} {number}")


@get("/things")
async def things(
    *,
    limit: Limit = 20,
    cursor: Cursor = None,
    archived: FromQuery[bool] = False,
    owner: FromQuery[UUID | None] = None,
    status: FromQuery[Literal["open", "closed"] | None] = None,
) -> Response[Envelope[str]]:
    return Response(Envelope(f"{limit} {cursor} {archived} {owner} {status}"), headers={"etag": '"1"'})


@get("/endless", media_type="text/event-stream")
async def endless() -> Stream:
    async def ticks() -> AsyncIterator[bytes]:
        while True:
            yield b": tick\n\n"
            await asyncio.sleep(0.01)

    return Stream(ticks(), media_type="text/event-stream")


@post("/notes")
async def note(data: JSONBody[Note]) -> Envelope[Note]:
    return Envelope(data)


@dataclass
class Client:
    session: aiohttp.ClientSession
    url: str
    headers: dict[str, str]

    async def ask(self, method: str, address: str, **options: Any) -> tuple[int, Any, Any]:
        """The response to a request; `address` is sent unchanged."""
        options["headers"] = {**self.headers, **options.get("headers", {})}
        async with self.session.request(method, URL(self.url + address, encoded=True), **options) as response:
            return response.status, response.headers, await response.json(content_type=None)

    async def refusal(self, method: str, address: str, **options: Any) -> tuple[int, str, list[str]]:
        status, _, body = await self.ask(method, address, **options)
        return status, body["code"], [detail["pointer"] for detail in body["details"]]


@pytest_asyncio.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    issuer = TokenIssuer()
    app = create_app(
        title="Things",
        route_handlers=[part, things, endless, note],
        authenticator=Authenticator([Issuer(issuer.iss, issuer.jwks_file(tmp_path))], AUDIENCE),
    )
    async with serving(app) as url, aiohttp.ClientSession() as session:
        yield Client(session, url, issuer.bearer(uuid4()))


@pytest.mark.parametrize("number", ["1_3", "%D9%A1", "%2B13", "013", "%2013", "13.0", "1e1", "0x1", "--1", "9" * 400])
async def test_an_id_has_one_form(client: Client, number: str) -> None:
    """A number in another form is 404."""
    assert (await client.ask("GET", f"/things/{THING}/parts/13"))[0] == 200
    assert (await client.refusal("GET", f"/things/{THING}/parts/{number}"))[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize("text", [THING.hex, f"%7B{THING}%7D", f"urn:uuid:{THING}", f"{str(THING)[:-1]}%D9%A1"])
async def test_a_uuid_has_one_form_but_for_its_case(client: Client, text: str) -> None:
    """That of RFC 9562, which requires that upper case is accepted."""
    assert (await client.ask("GET", f"/things/{str(THING).upper()}/parts/1"))[0] == 200
    assert (await client.refusal("GET", f"/things/{text}/parts/1"))[:2] == (404, "NOT_FOUND")


@pytest.mark.parametrize("address", ["/th%69ngs%2f1", "/things/%zz", "/things/%ff", "/things/%00", "/things/%C3%28"])
async def test_a_path_is_percent_encoded_utf_8(client: Client, address: str) -> None:
    """An encoded slash is rejected, since routers and proxies treat it differently."""
    assert (await client.refusal("GET", address))[:2] == (400, "VALIDATION_FAILED")


QUERIES = {
    "colour=red": "?colour",
    "limit=5&limit=6": "?limit",
    "limit=05": "?limit",
    "limit=+5": "?limit",
    "limit=%2B5": "?limit",
    "limit=1_0": "?limit",
    "limit=%D9%A1": "?limit",
    "limit=": "?limit",
    "cursor=": "?cursor",
    "cursor=x": None,
    "archived=1": "?archived",
    "archived=True": "?archived",
    "archived=": "?archived",
    f"owner={THING.hex}": "?owner",
    "owner=": "?owner",
    "status=Open": "?status",
    "status=": "?status",
}


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_has_one_form(client: Client, query: str) -> None:
    """Unknown, repeated and malformed parameters are rejected, each by its name."""
    assert (await client.ask("GET", f"/things?limit=5&archived=true&owner={THING}&status=open"))[0] == 200
    pointer = QUERIES[query]
    if pointer is None:
        assert (await client.ask("GET", f"/things?{query}"))[0] == 200
    else:
        assert await client.refusal("GET", f"/things?{query}") == (400, "VALIDATION_FAILED", [pointer])


BODIES = {
    b'{"text": "a", "text": "b"}': "/text",
    b'{"data": {"a": [{"x": 1, "x": 1}]}}': "/data/a/0/x",
    b'{"txt": ""}': "/txt",
    b'{"data": {"a": "\\u0000"}}': "/data/a",
    b'{"data": {"\\u0000": 1}}': "/data",
    b'{"data": {"a": "\\ud800"}}': "/data/a",
    b'{"data": {"a": 1e999}}': "/data/a",
    b'{"data": {"a": 1e-999}}': "/data/a",
    b'{"data": {"a": 9223372036854775808}}': "/data/a",
    b'{"data": {"a": ' + b"1" * 5000 + b"}}": "/data/a",
    b'{"data": {"a": 0.' + b"1" * 50 + b"}}": "/data/a",
    b'{"`": 1}': "/`",
    b'{"' + b"x" * 100_000 + b'": 1}': "",
    b'{"text": 1}': "/text",
}


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_a_body_is_stored_unchanged_or_rejected(client: Client, body: bytes) -> None:
    """With a pointer into the body, in a response of bounded size."""
    status, response, answer = await client.ask("POST", "/notes", data=body, headers=JSON)
    assert (status, [detail["pointer"] for detail in answer["details"]]) == (400, [BODIES[body]])
    assert int(response["content-length"]) < 16 * 1024


NO_DECIMALS = [
    " 5",
    "5 ",
    "\u0661",
    "1_000",
    "+5",
    "5.",
    ".5",
    "05",
    "5e3",
    "NaN",
    "Infinity",
    "",
    "-",
    "0x1",
    "1" * 21,
]


@pytest.mark.parametrize("text", NO_DECIMALS)
async def test_a_decimal_has_one_form(client: Client, text: str) -> None:
    """Digits with a point, as a number or a string; no other form that Python's Decimal accepts."""
    for body, pointer in (
        ({"price": text}, "/price"),
        ({"shares": [{"value": "1"}, {"value": text}]}, "/shares/1/value"),
    ):
        assert await client.refusal("POST", "/notes", json=body) == (400, "VALIDATION_FAILED", [pointer])
    assert (await client.ask("POST", "/notes", json={"price": "12.50", "shares": [{"value": 2.5}]}))[0] == 201


@pytest.mark.parametrize("text", [b"1e22", b"-0.0", b"1e308", b"9223372036854775807", b"0.1", b'"\\ud83d\\ude00"'])
async def test_a_value_is_returned_unchanged(client: Client, text: bytes) -> None:
    _, _, answer = await client.ask("POST", "/notes", data=b'{"data": {"a": ' + text + b"}}", headers=JSON)
    assert answer["data"]["data"]["a"] == msgspec.json.decode(text)


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("application/json", 201),
        ("application/json; charset=UTF-8", 201),
        ("application/merge-patch+json", 201),
        ("application/json; charset=latin-1", 415),
        ("text/plain", 415),
    ],
)
async def test_a_body_is_utf_8(client: Client, content_type: str, status: int) -> None:
    """Another charset is rejected."""
    assert (await client.ask("POST", "/notes", data=b"{}", headers={"content-type": content_type}))[0] == status


async def raw(client: Client, *lines: bytes) -> tuple[int, bytes]:
    """The response to a request with these header lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
    head = [
        b"GET /things HTTP/1.1",
        b"host: x",
        b"connection: close",
        b"authorization: " + client.headers["Authorization"].encode(),
    ]
    writer.write(b"\r\n".join([*head, *lines, b"", b""]))
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer


@pytest.mark.parametrize("value", [b"caf\xc3\xa9", b"caf\xe9", b"a\x01b"])
async def test_headers_that_are_read_are_ascii(client: Client, value: bytes) -> None:
    """Otherwise two different keys could become the same one."""
    status, answer = await raw(client, b"idempotency-key: " + value)
    assert (status, b"header:Idempotency-Key" in answer or b"Invalid" in answer) == (400, True)
    assert (await raw(client, b"user-agent: caf\xe9"))[0] == 200


async def test_a_single_header_must_not_be_repeated(client: Client) -> None:
    status, answer = await raw(client, b"idempotency-key: a", b"idempotency-key: b")
    assert (status, b"header:Idempotency-Key" in answer) == (400, True)


async def test_head_is_get_without_its_content(client: Client) -> None:
    """For each address that GET has, also for an endless stream."""
    got = await client.session.get(f"{client.url}/things", headers=client.headers)
    head = await client.session.head(f"{client.url}/things", headers=client.headers)
    assert (head.status, await head.read()) == (200, b"")
    for name in ("content-length", "content-type", "etag"):
        assert head.headers[name] == got.headers[name]
    async with asyncio.timeout(PATIENCE):
        assert (await client.session.head(f"{client.url}/endless", headers=client.headers)).status == 200
    assert (await client.session.head(f"{client.url}/notes", headers=client.headers)).status == 405
    assert (await client.session.head(f"{client.url}/nothing", headers=client.headers)).status == 404


async def test_a_client_that_disconnects_is_counted_as_499(client: Client) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(client.url.rpartition(":")[2]))
    token = client.headers["Authorization"].encode()
    writer.write(b"POST /notes HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\nauthorization: " + token + b"\r\n\r\n{")
    await writer.drain()
    writer.close()

    async def counted() -> str | None:
        async with client.session.get(f"{client.url}/metrics") as response:
            text = await response.text()
        return text if 'route="/notes"' in text else None

    text = await eventually(counted, "the request to be counted")
    assert 'http_request_seconds_count{method="POST",route="/notes",status="499"} 1.0' in text
    assert 'status="500"' not in text
    reader.feed_eof()
