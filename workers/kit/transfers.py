"""Files in and out over HTTP: bounded in size and time, retried while the server is away, with faults by their kind."""

import asyncio
import contextlib
import hashlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, BinaryIO, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from yarl import URL

from shared.backoff import Backoff
from shared.contracts.generation import Output
from shared.contracts.work import UploadGrant
from shared.stopping import stop
from workers.kit.addresses import Addresses
from workers.kit.answers import MAX_ANSWER, classified, refusal
from workers.kit.faults import is_transient, permanent, transient
from workers.kit.files import File

CHUNK = 256 * 1024
MAX_REDIRECTS = 3
SILENT_SECONDS = 20.0
"""Without a byte of an answer for so long, a server counts as silent. An edge answers within 15 in any case."""
HEALTH_CHECK_SECONDS = 2.0
"""After so long without an answer, an edge's `/health/live` is requested, which must answer in the same time."""
SLOWEST = 256 * 1024
"""Bytes per second. An upload that is slower fails: the server has stopped reading."""

T = TypeVar("T")


class StoredFile(msgspec.Struct):
    """Storage's record of an uploaded file."""

    id: int
    url: str
    path: str
    mime_type: str
    size: int
    sha256: str


class StoredAnswer(msgspec.Struct):
    """Storage's answer to an upload."""

    data: StoredFile


class Transfers:
    """Downloads and uploads, each retried for `patience` seconds. `max_bytes` bounds a download."""

    def __init__(
        self, session: aiohttp.ClientSession, addresses: Addresses, *, patience: float, max_bytes: int
    ) -> None:
        self._session, self._addresses = session, addresses
        self._patience, self._max_bytes = patience, max_bytes

    async def download(self, field: str, link: Any, grant: UploadGrant, traceparent: str | None) -> bytes:
        """The file that the payload's `field` refers to. Raises StepFault."""
        if not isinstance(link, str):
            raise permanent("VALIDATION_FAILED", f"/{field}: is required, the address of a file")
        return await self._retry(field, lambda: self._download(field, link, grant, traceparent))

    async def upload(self, file: File, grant: UploadGrant, traceparent: str | None) -> Output:
        """Stores a file under the grant's path. Idempotent: the same file again is the same asset. Raises StepFault."""
        return await self._retry("upload", lambda: self._upload(file, grant, traceparent))

    async def _retry(self, what: str, transfer: Callable[[], Awaitable[T]]) -> T:
        backoff = Backoff(f"transfer of {what}", on=is_transient, first=0.2, longest=3.0)
        return await backoff.call(lambda: classified(what, transfer), timeout=self._patience)

    @contextlib.asynccontextmanager
    async def _answered(
        self, method: str, url: URL, headers: dict[str, str], body: BinaryIO | None = None, size: int = 0
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer of the edge whose turn it is, or of the URL's own server. Raises TimeoutError, ClientError."""
        url = self._addresses.at_edge(url)
        total = None if body is None else 2 * SILENT_SECONDS + size / SLOWEST
        timeout = aiohttp.ClientTimeout(total=total, sock_connect=5, sock_read=SILENT_SECONDS)
        request = self._session.request(method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout)
        try:
            async with await self._while_healthy(url, request) as response:
                yield response
        except (TimeoutError, aiohttp.ClientConnectionError):
            self._addresses.failed(url)
            raise

    async def _while_healthy(self, url: URL, request: Awaitable[aiohttp.ClientResponse]) -> aiohttp.ClientResponse:
        """What `request` returns. Raises TimeoutError if an edge does not answer while another could."""
        task = asyncio.ensure_future(request)
        try:
            while not (await asyncio.wait((task,), timeout=HEALTH_CHECK_SECONDS))[0]:
                if self._addresses.has_another(url):
                    await self._check_health(url)
            return await task
        except BaseException:
            await stop(task)
            if not task.cancelled() and task.exception() is None:
                task.result().close()
            raise

    async def _check_health(self, edge: URL) -> None:
        """Raises TimeoutError or ClientError unless `/health/live` answers."""
        timeout = aiohttp.ClientTimeout(total=HEALTH_CHECK_SECONDS)
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
                    raise await refusal(response, field, "INPUT_UNREADABLE")
                return await self._body(response, field)
        raise permanent("INPUT_UNREADABLE", f"/{field}: more than {MAX_REDIRECTS} redirects")

    async def _body(self, response: aiohttp.ClientResponse, field: str) -> bytes:
        too_large = permanent("PAYLOAD_TOO_LARGE", f"/{field}: the file has more than {self._max_bytes} bytes")
        if (response.content_length or 0) > self._max_bytes:
            raise too_large
        data = bytearray()
        async for chunk in response.content.iter_chunked(CHUNK):
            data += chunk
            if len(data) > self._max_bytes:
                raise too_large
        return bytes(data)

    async def _upload(self, file: File, grant: UploadGrant, traceparent: str | None) -> Output:
        try:
            size, digest = await asyncio.to_thread(_measured, file)
            with _opened(file) as body:
                record = await self._stored(file, body, size, digest, grant, traceparent)
        except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
            raise permanent("WORKER_FAULT", f"upload: the content of {file.name} can't be read") from error
        if record.sha256 != digest:
            raise transient("UPLOAD_CORRUPTED", "upload: storage has other bytes than were sent")
        return Output(
            kind="asset",
            asset_id=record.id,
            url=record.url,
            path=record.path,
            mime_type=record.mime_type,
            sha256=record.sha256,
            size=record.size,
        )

    async def _stored(
        self, file: File, content: BinaryIO, size: int, digest: str, grant: UploadGrant, traceparent: str | None
    ) -> StoredFile:
        headers = _headers(grant.token, traceparent) | {
            "Content-Type": file.mime_type,
            "X-Filename": quote(file.name),
            "X-Content-SHA256": digest,
        }
        async with self._answered("POST", URL(grant.url), headers, content, size) as response:
            if response.status not in (200, 201):
                raise await refusal(response, "upload", "UPLOAD_REFUSED")
            body = await response.content.read(MAX_ANSWER)
        try:
            return msgspec.json.decode(body, type=StoredAnswer).data
        except msgspec.MsgspecError as error:
            raise transient("UNAVAILABLE", "upload: storage answered with something else than an asset") from error


def _opened(file: File) -> BinaryIO:
    return io.BytesIO(file.data) if isinstance(file.data, bytes) else file.data.open("rb")


def _measured(file: File) -> tuple[int, str]:
    """The size in bytes and the sha256 of a file's content. Raises OSError."""
    if isinstance(file.data, bytes):
        return len(file.data), hashlib.sha256(file.data).hexdigest()
    with file.data.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        return content.tell(), digest


def _headers(token: str | None, traceparent: str | None) -> dict[str, str]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return headers if traceparent is None else headers | {"traceparent": traceparent}


def _location(response: aiohttp.ClientResponse, field: str) -> URL:
    try:
        return URL(response.headers["Location"])
    except ValueError as error:
        raise permanent("INPUT_UNREADABLE", f"/{field}: is redirected to a text that is not a URL") from error
