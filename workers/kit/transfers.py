"""Files in and out over HTTP: bounded, tried again while the other side is away, and told apart by what failed."""

import asyncio
import contextlib
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from shared.backoff import Backoff
from shared.contracts.generation import Output
from shared.contracts.work import UploadGrant
from shared.stopping import stop
from workers.kit.addresses import Addresses
from workers.kit.faults import StepFault, lasting, passing
from workers.kit.rendered import Rendered

CHUNK = 256 * 1024
MAX_ANSWER = 1024 * 1024
MAX_REDIRECTS = 3
PASSING_STATUSES = frozenset({408, 425, 429})
CLOCK_WORDS = ("expired", "not valid yet", "clock")
"""Words of a refusal of a token for its time alone: another clock, or another attempt, may be right."""
SILENT_SECONDS = 20.0
"""Without a byte of an answer for so long, the other side counts as silent. An edge answers within 15 in any case."""
LOOK_SECONDS = 2.0
"""How long an edge may take over an answer before it is asked whether it lives, and how long it may take over that."""
SLOWEST = 256 * 1024
"""Bytes per second. A file that is taken more slowly counts as not taken: the other side reads nothing any more."""

T = TypeVar("T")


class StoredFile(msgspec.Struct):
    """What storage says of a file that it took."""

    id: int
    url: str
    path: str
    mime_type: str
    size: int
    sha256: str


class Answer(msgspec.Struct):
    data: StoredFile


class Transfers:
    def __init__(
        self, session: aiohttp.ClientSession, addresses: Addresses, *, patience: float, max_bytes: int
    ) -> None:
        self._session, self._addresses = session, addresses
        self._patience, self._max_bytes = patience, max_bytes

    async def download(self, field: str, link: Any, grant: UploadGrant, traceparent: str | None) -> bytes:
        """The file that the payload's `field` refers to. Raises StepFault."""
        if not isinstance(link, str):
            raise lasting("VALIDATION_FAILED", f"/{field}: is required, the address of a file")
        return await self._patiently(field, lambda: self._download(field, link, grant, traceparent))

    async def upload(self, rendered: Rendered, grant: UploadGrant, traceparent: str | None) -> Output:
        """Raises StepFault. The same file at the same path again is the same asset, so trying again is safe."""
        return await self._patiently("upload", lambda: self._upload(rendered, grant, traceparent))

    async def _patiently(self, what: str, transfer: Callable[[], Awaitable[T]]) -> T:
        backoff = Backoff(f"transfer of {what}", on=_passes, first=0.2, longest=3.0)
        return await backoff.call(lambda: self._classified(what, transfer), timeout=self._patience)

    async def _classified(self, what: str, transfer: Callable[[], Awaitable[T]]) -> T:
        try:
            return await transfer()
        except TimeoutError as error:
            raise passing("UNAVAILABLE", f"{what}: the other side did not answer in time") from error
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise lasting("INPUT_REFUSED", f"{what}: is not an address") from error
        except (aiohttp.ClientError, OSError) as error:
            raise passing("UNAVAILABLE", f"{what}: the connection failed ({type(error).__name__})") from error

    @contextlib.asynccontextmanager
    async def _answered(
        self, method: str, url: URL, headers: dict[str, str], body: bytes | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer of the edge whose turn it is, or of what else the URL names. Raises TimeoutError, ClientError."""
        url = self._addresses.at_edge(url)
        total = None if body is None else 2 * SILENT_SECONDS + len(body) / SLOWEST
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=5, sock_read=SILENT_SECONDS)
        data = None if body is None else io.BytesIO(body)
        request = self._session.request(method, url, data=data, headers=headers, allow_redirects=False, timeout=timeout)
        try:
            async with await self._while_it_lives(url, request) as response:
                yield response
        except (TimeoutError, aiohttp.ClientConnectionError):
            self._addresses.failed(url)
            raise

    async def _while_it_lives(self, url: URL, request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        """What `request` returns. Raises TimeoutError when the edge stands still, where another may take its place."""
        asked = asyncio.ensure_future(request)
        try:
            while not (await asyncio.wait((asked,), timeout=LOOK_SECONDS))[0]:
                if self._addresses.has_another(url):
                    await self._assert_lives(url)
            return await asked
        except BaseException:
            await stop(asked)
            if not asked.cancelled() and asked.exception() is None:
                asked.result().close()
            raise

    async def _assert_lives(self, edge: URL) -> None:
        """Raises TimeoutError or ClientError when it does not say so."""
        timeout = aiohttp.ClientTimeout(total=LOOK_SECONDS)
        async with self._session.get(edge.origin().with_path("/health/live"), timeout=timeout):
            pass

    async def _download(self, field: str, link: str, grant: UploadGrant, traceparent: str | None) -> bytes:
        for _ in range(MAX_REDIRECTS + 1):
            address = self._addresses.of(link, grant.url, field)
            headers = _headers(grant.token if address.bearer else None, traceparent)
            async with self._answered("GET", address.url, headers) as response:
                if response.status in (301, 302, 303, 307, 308) and "Location" in response.headers:
                    link = str(address.url.join(_location(response, field)))
                    continue
                if response.status != 200:
                    raise await _refusal(response, field, "INPUT_UNREADABLE")
                return await self._body(response, field)
        raise lasting("INPUT_UNREADABLE", f"/{field}: more than {MAX_REDIRECTS} redirects")

    async def _body(self, response: aiohttp.ClientResponse, field: str) -> bytes:
        too_large = lasting("PAYLOAD_TOO_LARGE", f"/{field}: the file has more than {self._max_bytes} bytes")
        if (response.content_length or 0) > self._max_bytes:
            raise too_large
        data = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            data += chunk
            if len(data) > self._max_bytes:
                raise too_large
        return bytes(data)

    async def _upload(self, rendered: Rendered, grant: UploadGrant, traceparent: str | None) -> Output:
        digest = hashlib.sha256(rendered.data).hexdigest()
        headers = _headers(grant.token, traceparent) | {
            "Content-Type": rendered.mime_type,
            "X-Filename": quote(rendered.filename),
            "X-Content-SHA256": digest,
        }
        async with self._answered("POST", URL(grant.url), headers, rendered.data) as response:
            if response.status not in (200, 201):
                raise await _refusal(response, "upload", "UPLOAD_REFUSED")
            body = await response.content.read(MAX_ANSWER)
        try:
            stored = msgspec.json.decode(body, type=Answer).data
        except msgspec.MsgspecError as error:
            raise passing("UNAVAILABLE", "upload: storage answered with something else than an asset") from error
        if stored.sha256 != digest:
            raise passing("UPLOAD_CORRUPTED", "upload: storage has other bytes than were sent")
        return Output(
            kind="asset",
            asset_id=stored.id,
            url=stored.url,
            path=stored.path,
            mime_type=stored.mime_type,
            sha256=stored.sha256,
            size=stored.size,
        )


def _headers(token: str | None, traceparent: str | None) -> dict[str, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return headers if traceparent is None else headers | {"traceparent": traceparent}


def _location(response: aiohttp.ClientResponse, field: str) -> URL:
    try:
        return URL(response.headers["Location"])
    except ValueError as error:
        raise lasting("INPUT_UNREADABLE", f"/{field}: is redirected to something that is no address") from error


async def _refusal(response: aiohttp.ClientResponse, what: str, code: str) -> StepFault:
    """A status that is no success, with the other side's own words where it has some."""
    detail = _detail(await response.content.read(MAX_ANSWER))
    message = f"{what}: {response.status}{f' {detail}' if detail else ''}"
    if response.status == 401 and any(word in detail for word in CLOCK_WORDS):
        return passing("CLOCK_SKEW", f"{message}: a clock is wrong, or the work took too long")
    if response.status >= 500 or response.status in PASSING_STATUSES:
        return passing("UNAVAILABLE", message)
    return lasting(code, message)


def _detail(body: bytes) -> str:
    """Of a problem document (RFC 9457)."""
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return ""
    return str(problem.get("detail") or "")[:300]


def _passes(error: Exception) -> bool:
    return isinstance(error, StepFault) and error.error.retryable
