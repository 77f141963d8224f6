"""What the clients of all test apps have in common: answers, and requests that wait for read tables."""

import json
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

import aiohttp

from tests.support.patience import asked_again
from tests.support.positions import SeenPositions
from tests.support.tokens import TokenIssuer

ALICE, BOB = UUID(int=1), UUID(int=2)


class Answer(NamedTuple):
    status: int
    body: Any
    """JSON, or the bytes of any other content."""
    raw: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.raw.decode()

    @property
    def data(self) -> Any:
        """The envelope's `data`. Fails if the request was refused."""
        assert self.status < 300, self.body
        assert self.body["error"] is None
        return self.body["data"]

    @property
    def code(self) -> tuple[int, str]:
        """A refusal's status and code."""
        return self.status, self.body["code"]

    @property
    def pointers(self) -> list[str]:
        return [detail["pointer"] for detail in self.body["details"]]

    @property
    def refusal(self) -> tuple[int, str, list[str]]:
        return *self.code, self.pointers


class Client:
    """Requests with users' tokens."""

    parse_float: type[Decimal] | None = None
    """Decimal where amounts must be exact."""

    def __init__(self, url: str, issuer: TokenIssuer, session: aiohttp.ClientSession) -> None:
        self.url, self.issuer, self.session = url, issuer, session
        self.is_patient = True
        """Whether reads bring the positions that writes were answered with, as the edge's do, and a request is repeated
        while it is answered 503 because read tables are behind, or PostgreSQL is busy and nothing was done."""
        self._seen = SeenPositions()

    async def send(
        self,
        method: str,
        path: str,
        user: UUID | None = ALICE,
        *roles: str,
        headers: Mapping[str, str] = {},
        **request: Any,
    ) -> Answer:
        """A request with the user's token, if any, and other arguments of aiohttp."""
        token = self.issuer.bearer(user, *roles) if user else {}
        return await self.ask(method, path, {**token, **headers}, **request)

    async def ask(self, method: str, path: str, headers: Mapping[str, str], **request: Any) -> Answer:
        """A request with these headers, and no others."""
        once = partial(self._once, method, path, headers, request)
        is_repeatable = isinstance(request.get("data", b""), bytes | str)
        return await (asked_again(once) if self.is_patient and is_repeatable else once())

    async def _once(self, method: str, path: str, headers: Mapping[str, str], request: dict[str, Any]) -> Answer:
        if self.is_patient:
            headers = {**headers, **self._seen.headers_for(method, headers)}
        async with self.session.request(method, self.url + path, headers=headers, **request) as response:
            self._seen.note(response.headers)
            raw = await response.read()
            return Answer(response.status, self._body(response.content_type, raw), raw, response.headers)

    def _body(self, content_type: str, raw: bytes) -> Any:
        if content_type.endswith("json") and raw:
            return json.loads(raw, parse_float=self.parse_float)
        return raw

    async def get(self, path: str, user: UUID | None = ALICE, **request: Any) -> Answer:
        return await self.send("GET", path, user, **request)
