"""An S3-compatible store through the `minio` client, which is synchronous: calls run in threads, with timeouts."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.datatypes import Part
from minio.error import MinioException, S3Error

from services.storage.providers.multipart import Multipart
from services.storage.providers.signed import SignedRequests, StoreClock
from shared.contracts.problem import Problem
from shared.telemetry import get_logger

PART = 8 * 1024 * 1024
"""Bytes per part of an upload. All but the last have this size, which some stores require."""
PARTS_AT_ONCE = 3
"""Concurrent part uploads per process, over all files; bounds its memory."""
CHUNK = 1024 * 1024
"""Bytes per read when a file is sent to a client; one chunk is read ahead."""
THREADS = 24
CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 30.0
MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger("s3")


class NoSuchFile(Exception):  # noqa: N818 - names the condition
    """The store has nothing at this path."""


class S3Store:
    """One bucket. Every call raises Problem UNAVAILABLE when the store can't be reached or fails."""

    def __init__(
        self, endpoint: str, access_key: str, secret_key: str, bucket: str, *, clock: StoreClock | None = None
    ) -> None:
        url = urlsplit(endpoint)
        self.bucket = bucket
        self.http = urllib3.PoolManager(
            maxsize=THREADS,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
            retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
        )
        self.client = Minio(
            url.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=url.scheme == "https",
            region="us-east-1",
            http_client=self.http,
        )
        self.requests = SignedRequests(self.client, self.http, bucket, clock or StoreClock())
        self.parts = asyncio.Semaphore(PARTS_AT_ONCE)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")

    async def ensure_bucket(self) -> None:
        """Creates the bucket unless it exists."""

        def ensure() -> None:
            if not self.client.bucket_exists(self.bucket):
                with contextlib.suppress(S3Error):  # another replica was faster, or the next check fails
                    self.client.make_bucket(self.bucket)

        await self.run(ensure)

    async def try_to_write(self, path: str) -> None:
        """Writes and deletes a small object: a store may answer reads and be unable to write."""

        def write() -> None:
            self.requests.send("PUT", path, body=b"ok")
            self.requests.send("DELETE", path)

        await self.run(write)

    def upload(self, path: str, media_type: str) -> "S3Upload":
        """A new upload to a path. Call `abort` in the end, also after `complete`."""
        return S3Upload(self, path, media_type)

    async def read(self, path: str, first: int, length: int) -> AsyncIterator[bytes]:
        """Streams `length` (> 0) bytes from offset `first`. Raises NoSuchFile before the first chunk is asked for."""
        byte_range = {"Range": f"bytes={first}-{first + length - 1}"}
        response = await self.run(self.requests.send, "GET", path, headers=byte_range, streams=True)

        async def chunks() -> AsyncIterator[bytes]:
            ahead = asyncio.ensure_future(self.run(response.read, CHUNK))
            try:
                while chunk := await ahead:
                    ahead = asyncio.ensure_future(self.run(response.read, CHUNK))
                    yield chunk
            finally:
                # A client that disconnects leaves bytes unread: such a connection can't be reused.
                ahead.cancel()
                response.close()
                response.release_conn()

        return chunks()

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs a blocking call in a thread. Raises NoSuchFile, or UNAVAILABLE for other errors of minio and urllib3."""

        def guarded() -> T:
            with _translated():
                return call(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(self._threads, guarded)


class S3Upload:
    """An upload to the store. The file becomes visible at its path only with `complete`."""

    def __init__(self, store: S3Store, path: str, media_type: str) -> None:
        self._store, self._path, self._media_type = store, path, media_type
        self._multipart = Multipart(store.requests, path)
        self._buffer: list[bytes] = []
        self._missing = PART
        self._upload_id: str | None = None
        self._part_tasks: list[asyncio.Task[Part]] = []

    async def write(self, data: bytes) -> None:
        """Adds bytes; waits while PARTS_AT_ONCE parts are being sent. Raises if an earlier part failed."""
        while len(data) >= self._missing:
            self._buffer.append(data[: self._missing])
            data = data[self._missing :]
            await self._send()
        if data:
            self._buffer.append(data)
            self._missing -= len(data)

    async def complete(self) -> None:
        """Makes the file visible at its path; replaces an existing one."""
        if self._upload_id is None:
            await self._put_whole()
            return
        if self._buffer:
            await self._send()
        parts = [await part for part in self._part_tasks]
        await self._store.run(self._multipart.complete, self._upload_id, parts)
        self._upload_id = None

    async def abort(self) -> None:
        """Aborts an upload that is not complete and deletes its parts; no-op after `complete`."""
        await asyncio.gather(*self._part_tasks, return_exceptions=True)
        if self._upload_id is not None:
            with contextlib.suppress(Problem, NoSuchFile):  # the store's lifecycle rules delete parts that stay
                await self._store.run(self._multipart.abort, self._upload_id)
            self._upload_id = None

    async def _put_whole(self) -> None:
        content = b"".join(self._buffer)
        headers = {"Content-Type": self._media_type}
        await self._store.run(self._store.requests.send, "PUT", self._path, body=content, headers=headers)

    async def _send(self) -> None:
        """Starts to send the buffered bytes as the next part."""
        if self._upload_id is None:
            await self._begin()
        for part in self._part_tasks:
            if part.done():
                part.result()
        await self._store.parts.acquire()
        content = b"".join(self._buffer)
        self._buffer, self._missing = [], PART
        self._part_tasks.append(asyncio.create_task(self._send_part(len(self._part_tasks) + 1, content)))

    async def _begin(self) -> None:
        self._upload_id = await self._store.run(self._multipart.begin, self._media_type)

    async def _send_part(self, number: int, content: bytes) -> Part:
        try:
            return await self._transfer(number, content)
        finally:
            self._store.parts.release()

    async def _transfer(self, number: int, content: bytes) -> Part:
        assert self._upload_id is not None, "the id comes before the first part"
        return await self._store.run(self._multipart.send, self._upload_id, number, content)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except S3Error as error:
        if error.code in MISSING:
            raise NoSuchFile from error
        raise _unavailable(error) from error
    except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Problem:
    log.warning("file store failed", error=repr(error))
    return Problem("UNAVAILABLE", "The file store can't be reached right now; try again in a moment")
