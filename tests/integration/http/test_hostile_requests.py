"""Hostile requests: no bytes that a client sends cause a 5xx of a service or of the edge."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import get, post

from services.edge.app import create
from services.edge.settings import EdgeSettings
from shared.http import (
    Authenticator,
    CommandContext,
    CommandPrecondition,
    Cursor,
    Envelope,
    FromPath,
    FromQuery,
    Issuer,
    JSONBody,
    Limit,
    Page,
    User,
    create_app,
    decode_cursor,
)
from tests.support.serving import serving
from tests.support.tokens import AUDIENCE, TokenIssuer

REQUESTS = 300


class Change(msgspec.Struct):
    title: str
    data: dict[str, Any] = {}
    editions: int | None = None


@get("/projects")
async def listed(limit: Limit = 20, cursor: Cursor = None, q: FromQuery[str | None] = None) -> Page[str]:
    """Returns its parameters, so that odd text is encoded again."""
    return Page([q or "", str(decode_cursor(cursor, int) if cursor else limit)])


@post("/projects/{name:str}")
async def changed(
    name: FromPath[str],
    data: JSONBody[Change],
    principal: User,
    context: CommandContext,
    precondition: CommandPrecondition,
) -> Envelope[dict[str, Any]]:
    return Envelope(
        {"name": name, "change": data, "by": principal.user_id, "as": context, "on": sorted(precondition.any_of or ())}
    )


FRAGMENTS = [
    b"%00", b"%ff", b"%C3%28", b"%ED%A0%80", b"%2e%2e", b"%2F", b"..", b"//", b"?", b"&", b"=", b";", b"%", b"%zz",
    b"limit=", b"cursor=", b"q=", b"-1", b"9" * 400, b"1e9", b"NaN", b"true", b"[]", b"{}", b"'", b'"', b"\xc3\xa4",
    b"null", b"*", b'"3"', b"W/", b",", b" ", b"\t", b"a" * 2000, b"<script>", b"${x}", b"{{x}}", b"\\u0000", b"\xff",
    b'{"title":', b'"x"', b'"data":', b'{"a":[1,2,{"b":null}]}', b'"editions":', b"}", b"[" * 50, b":", b"0x1", b"1.0",
    b"\\ud800", b"#",
]  # fmt: skip
HEADERS = [
    b"if-match", b"if-none-match", b"idempotency-key", b"x-correlation-id", b"traceparent", b"content-type", b"accept",
    b"range", b"x-forwarded-for", b"cookie", b"accept-encoding", b"expect", b"te", b"last-event-id", b"host",
]  # fmt: skip


def hostile(chance: random.Random, token: str) -> bytes:
    """A request with zero or more malformed parts."""

    def odd(most: int) -> bytes:
        return b"".join(chance.choices(FRAGMENTS, k=chance.randint(0, most)))

    def in_line(value: bytes) -> bytes:
        return value.replace(b" ", b"%20").replace(b"\t", b"%09")

    method = chance.choice([b"GET"] * 4 + [b"POST"] * 5 + [b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS"])
    target = chance.choice(
        [b"/projects", b"/projects?" + in_line(odd(4)), b"/projects/" + in_line(odd(3)), b"/" + in_line(odd(3))]
    )
    body = chance.choice([b"", odd(8), b'{"title": "x"}', b'{"title": ' + odd(3) + b"}"])
    lines = [method + b" " + target + b" HTTP/1.1", b"content-length: %d" % len(body)]
    if chance.random() < 0.9:
        lines.append(b"authorization: Bearer " + token.encode())
    if chance.random() < 0.7:
        lines.append(b"content-type: application/json")
    lines += [name + b": " + odd(3) for name in chance.choices(HEADERS, k=chance.randint(0, 3))]
    return b"\r\n".join([*lines, b"connection: close", b"", b""]) + body


async def status_of(port: int, request: bytes) -> int:
    """The status of the response; 0 if the server closed the connection without one."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        line = await reader.readline()
        await reader.read()
        return int(line.split()[1]) if line else 0
    except ConnectionResetError:
        return 0
    finally:
        writer.close()


@asynccontextmanager
async def service_and_edge(issuer: TokenIssuer, folder: Path) -> AsyncIterator[tuple[str, str]]:
    keys = issuer.jwks_file(folder)
    authenticator = Authenticator([Issuer(issuer.iss, keys)], AUDIENCE)
    async with serving(create_app(title="x", route_handlers=[listed, changed], authenticator=authenticator)) as service:
        edge = EdgeSettings(
            collections_url=service,
            generation_url=service,
            credits_url=service,
            storage_url=service,
            auth_issuer=issuer.iss,
            jwks_file=keys.removeprefix("file://"),
        )
        async with serving(create(edge)) as url:
            yield service, url


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_causes_a_5xx(tmp_path: Path, seed: int) -> None:
    """Odd escapes, text, numbers, headers and bodies get another response, or the connection is closed."""
    issuer = TokenIssuer()
    chance = random.Random(seed)
    async with service_and_edge(issuer, tmp_path) as (service, edge):
        token = issuer.token()
        for _ in range(REQUESTS):
            request = hostile(chance, token)
            for url in (service, edge):
                status = await status_of(int(url.rsplit(":", 1)[1]), request)
                assert status < 500, (url == edge, request)
