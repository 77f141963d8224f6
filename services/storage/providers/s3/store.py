"""An S3-compatible store through the `minio` client."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from email.utils import parsedate_to_datetime
from functools import partial

from minio.error import S3Error

from services.storage.providers.file_store import CHUNK, Entry, Keep, SignedUpload
from services.storage.providers.s3.calls import READ_TIMEOUT, S3Calls
from services.storage.providers.s3.kept_upload import S3KeptUpload
from services.storage.providers.s3.objects import MAX_COPY, copy_object, pages
from services.storage.providers.s3.signed import StoreClock
from services.storage.providers.s3.upload import S3Upload
from services.storage.providers.streams import copy_bytes

PAGE = 1_000
"""Objects that are listed in one request, which is what S3 allows."""


class S3Store:
    """One bucket, as a `FileStore`."""

    def __init__(
        self,
        endpoint: str,
        access_key: str,
        secret_key: str,
        bucket: str,
        *,
        clock: StoreClock | None = None,
        page_size: int = PAGE,
        read_timeout: float = READ_TIMEOUT,
    ) -> None:
        self._bucket, self._page_size = bucket, page_size
        self._calls = S3Calls(
            endpoint, access_key, secret_key, bucket, clock=clock or StoreClock(), read_timeout=read_timeout
        )
        self._run, self._requests = self._calls.run, self._calls.requests

    async def ensure_bucket(self) -> None:
        def ensure() -> None:
            client = self._calls.client
            if not client.bucket_exists(self._bucket):
                with contextlib.suppress(S3Error):  # another replica was faster, or the next check fails
                    client.make_bucket(self._bucket)

        await self._run(ensure)

    async def try_to_write(self, path: str) -> None:
        def write() -> None:
            self._requests.send("PUT", path, body=b"ok")
            self._requests.send("DELETE", path)

        await self._run(write)

    def upload(self, path: str, media_type: str) -> S3Upload:
        return S3Upload(self._calls, path, media_type)

    def kept_upload(self, path: str, media_type: str, keep: Keep) -> S3KeptUpload:
        return S3KeptUpload(self._calls, path, media_type, keep)

    async def read(self, path: str, first: int, length: int) -> AsyncIterator[bytes]:
        byte_range = {"Range": f"bytes={first}-{first + length - 1}"}
        response = await self._run(self._requests.send, "GET", path, headers=byte_range, streams=True)

        async def chunks() -> AsyncIterator[bytes]:
            ahead = asyncio.ensure_future(self._run(response.read, CHUNK))
            try:
                while chunk := await ahead:
                    ahead = asyncio.ensure_future(self._run(response.read, CHUNK))
                    yield chunk
            finally:
                # A client that disconnects leaves bytes unread: such a connection can't be reused.
                ahead.cancel()
                response.close()
                response.release_conn()

        return chunks()

    async def head(self, path: str) -> Entry:
        return _entry(path, (await self._run(self._requests.send, "HEAD", path)).headers)

    async def delete(self, path: str) -> None:
        await self._run(self._requests.send, "DELETE", path)

    async def entries(self, prefix: str) -> AsyncIterator[Entry]:
        listing = pages(self._requests, prefix, self._page_size)
        while (page := await self._run(partial(next, listing, None))) is not None:
            for entry in page:
                yield entry

    async def copy(self, source: str, target: str) -> None:
        answer = await self._run(self._requests.send, "HEAD", source)
        size = _entry(source, answer.headers).size
        if size <= MAX_COPY:
            await self._run(copy_object, self._requests, self._bucket, source, target)
        else:
            await copy_bytes(self, source, size, self.upload(target, answer.headers["Content-Type"]))

    async def signed_read(self, path: str, media_type: str, seconds: int) -> str:
        query = {"response-content-type": media_type}
        return self._requests.presigned("GET", path, timedelta(seconds=seconds), query)

    async def signed_upload(self, path: str, media_type: str, seconds: int) -> SignedUpload:
        url = self._requests.presigned("PUT", path, timedelta(seconds=seconds))
        return SignedUpload(url, {"Content-Type": media_type})

    def close(self) -> None:
        self._calls.close()


def _entry(path: str, headers: Mapping[str, str]) -> Entry:
    return Entry(path, int(headers["Content-Length"]), parsedate_to_datetime(headers["Last-Modified"]))
