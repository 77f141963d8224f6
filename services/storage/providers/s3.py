"""S3-compatible stores, by the `minio` client: it is synchronous, so it runs in threads, and it waits only so long."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO, ParamSpec, TypeVar, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.error import InvalidResponseError, MinioException, S3Error, ServerError

from services.storage.providers.pipe import GivenUp, Pipe
from shared.contracts.problem import Problem
from shared.http import get_logger

PART = 8 * 1024 * 1024
"""Bytes of one part of a multipart upload: what one upload has in memory, two or three times."""
CHUNK = 512 * 1024
"""Bytes read at once when a file is sent to a client."""
CONNECT_TIMEOUT, READ_TIMEOUT = 2.0, 30.0
MISSING = {"NoSuchKey", "NoSuchObject", "ResourceNotFound"}

P = ParamSpec("P")
T = TypeVar("T")

log = get_logger("s3")


class NoSuchFile(Exception):  # noqa: N818 - what was found
    """The store has nothing at this path."""


class S3Store:
    """One bucket. Every call raises Problem UNAVAILABLE when the store can't be reached or fails.

    `uploads` files are taken in at once, each in a thread of its own; the next ones wait their turn.
    """

    def __init__(self, endpoint: str, access_key: str, secret_key: str, bucket: str, *, uploads: int = 16) -> None:
        url = urlsplit(endpoint)
        self.bucket = bucket
        self._client = Minio(
            url.netloc,
            access_key=access_key,
            secret_key=secret_key,
            secure=url.scheme == "https",
            region="us-east-1",
            http_client=urllib3.PoolManager(
                maxsize=uploads + 16,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=READ_TIMEOUT),
                retries=urllib3.Retry(total=2, backoff_factor=0.2, status_forcelist=[500, 502, 503, 504]),
            ),
        )
        self._writers = ThreadPoolExecutor(uploads, thread_name_prefix="s3-write")
        self._readers = ThreadPoolExecutor(16, thread_name_prefix="s3-read")

    async def ensure_bucket(self) -> None:
        """Creates the bucket unless it exists."""

        def ensure() -> None:
            if not self._client.bucket_exists(self.bucket):
                with contextlib.suppress(S3Error):  # another replica was faster, or we'll see at the next look
                    self._client.make_bucket(self.bucket)

        await self._run(self._readers, ensure)

    async def check(self) -> None:
        """Returns when the store answers and has the bucket."""
        if not await self._run(self._readers, self._client.bucket_exists, self.bucket):
            raise Problem("UNAVAILABLE", f"The file store has no bucket {self.bucket}")

    async def put(self, path: str, pipe: Pipe, media_type: str) -> None:
        """Writes what the pipe gives; nothing is visible at `path` before the pipe is finished.

        A pipe that fails leaves nothing behind: the file's last part is not sent, and its earlier ones are given up.
        Raises GivenUp then.
        """

        def put() -> None:
            # One part after the other: minio's own parallel upload leaks its threads when a read fails.
            self._client.put_object(
                self.bucket,
                path,
                cast("BinaryIO", pipe),
                -1,
                content_type=media_type,
                part_size=PART,
                num_parallel_uploads=1,
            )

        try:
            await self._run(self._writers, put)
        finally:
            pipe.break_off()

    async def read(self, path: str, first: int, length: int) -> AsyncIterator[bytes]:
        """The bytes from `first` on, `length` (> 0) of them. Raises NoSuchFile at once, not at the first chunk."""
        response = await self._run(
            self._readers, self._client.get_object, self.bucket, path, offset=first, length=length
        )

        async def chunks() -> AsyncIterator[bytes]:
            try:
                while chunk := await self._run(self._readers, response.read, CHUNK):
                    yield chunk
            finally:
                # A client that went away leaves bytes unread: such a connection can't be used again.
                response.close()
                response.release_conn()

        return chunks()

    def close(self) -> None:
        self._writers.shutdown(wait=False, cancel_futures=True)
        self._readers.shutdown(wait=False, cancel_futures=True)

    async def _run(self, pool: ThreadPoolExecutor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def guarded() -> T:
            with _translated():
                return call(*args, **kwargs)

        return await asyncio.get_running_loop().run_in_executor(pool, guarded)


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    """The exceptions of minio and urllib3 as ours; GivenUp, of the pipe that is being read, passes as it is."""
    try:
        yield
    except S3Error as error:
        if error.code in MISSING:
            raise NoSuchFile from error
        raise _unavailable(error) from error
    except (MinioException, InvalidResponseError, ServerError, urllib3.exceptions.HTTPError, OSError) as error:
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Problem:
    log.warning("file store failed", error=repr(error))
    return Problem("UNAVAILABLE", "The file store can't be reached right now; try again in a moment")


__all__ = ["GivenUp", "NoSuchFile", "S3Store"]
