"""A client of the IPFS Pinning Service API 1.0: https://ipfs.github.io/pinning-services-api-spec/."""

from http import HTTPStatus
from types import TracebackType
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlencode

import aiohttp
import msgspec

ANSWERS_WITHIN = 30.0
"""Seconds per request."""
MAX_ANSWER = 1024 * 1024
"""Bytes."""
OPEN = "queued,pinning,pinned"
"""The states of a request that need no other one."""

T = TypeVar("T")
Status = Literal["queued", "pinning", "pinned", "failed"]


class PinStatus(msgspec.Struct, frozen=True):
    """A request, as the service answers it. `info` is of the service's own form."""

    requestid: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    status: Status
    info: dict[str, Any] | None = None

    @property
    def reason(self) -> str:
        """Why it failed, as far as the service says so in `info`: the API names `status_details`."""
        details = (self.info or {}).get("status_details")
        return details[:500] if isinstance(details, str) else ""


class _Results(msgspec.Struct, frozen=True):
    results: list[PinStatus]


class PinningError(Exception):
    """The service refused a request, or answered what is no answer of this API."""


class Unreachable(Exception):  # noqa: N818 - names the condition
    """The service does not answer, or has a fault of its own: a later try may succeed."""


class PinningService:
    """`async with PinningService(endpoint, token)`. Methods raise PinningError and Unreachable.

    No error's text has the token. Redirects are not followed: they would take it elsewhere.
    """

    def __init__(self, endpoint: str, token: str) -> None:
        self._endpoint, self._token = endpoint.rstrip("/"), token
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=ANSWERS_WITHIN)
        headers = {"Authorization": f"Bearer {self._token}"}
        self._session = aiohttp.ClientSession(headers=headers, timeout=timeout)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._session is not None, "use it in `async with`"
        await self._session.close()

    async def find(self, cid: str) -> PinStatus | None:
        """A request for this CID that has not failed."""
        query = urlencode({"cid": cid, "status": OPEN, "limit": 1})
        results = await self._request("GET", f"/pins?{query}", _Results)
        return results.results[0] if results.results else None

    async def add(self, cid: str, name: str, origins: list[str], meta: dict[str, str]) -> PinStatus:
        """Requests a pin. `origins`: multiaddrs of who has the data."""
        return await self._request(
            "POST", "/pins", PinStatus, {"cid": cid, "name": name, "origins": origins, "meta": meta}
        )

    async def status(self, request_id: str) -> PinStatus:
        """How far a request is."""
        return await self._request("GET", f"/pins/{request_id}", PinStatus)

    async def _request(self, method: str, path: str, answer_type: type[T], body: Any = None) -> T:
        assert self._session is not None, "use it in `async with`"
        data = None if body is None else msgspec.json.encode(body)
        headers = {"Content-Type": "application/json"} if data else {}
        url = self._endpoint + path
        try:
            async with self._session.request(
                method, url, data=data, headers=headers, allow_redirects=False
            ) as response:
                text = await response.content.read(MAX_ANSWER)
                status = response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Unreachable(f"{self._endpoint} does not answer: {type(error).__name__}") from error
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Unreachable(f"{self._endpoint} answers with status {status}")
        if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            raise PinningError(f"{self._endpoint} refuses the token: check PINNING_TOKEN")
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            raise PinningError(f"{self._endpoint} answers with status {status}{_details(text)}")
        try:
            return msgspec.json.decode(text, type=answer_type)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise PinningError(f"{self._endpoint} does not answer as a pinning service: {error}") from error


def _details(text: bytes) -> str:
    """What the service says about an error: `{"error": {"reason": …, "details": …}}`."""
    try:
        error = msgspec.json.decode(text)["error"]
        return ": " + " ".join(str(error[name])[:300] for name in ("reason", "details") if error.get(name))
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, AttributeError):
        return ""
