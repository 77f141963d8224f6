"""An upload to an S3 store: small files in one request, others in parts."""

import asyncio
import contextlib

from minio.datatypes import Part

from services.storage.providers.file_store import NoSuchFile
from services.storage.providers.s3.calls import S3Calls
from services.storage.providers.s3.multipart import Multipart
from shared.contracts.problem import Problem

PART = 8 * 1024 * 1024
"""Bytes per part of an upload. All but the last have this size, which some stores require."""


class S3Upload:
    """An upload to the store. The file becomes visible at its path only with `complete`."""

    def __init__(self, calls: S3Calls, path: str, media_type: str) -> None:
        self._calls, self._path, self._media_type = calls, path, media_type
        self._multipart = Multipart(calls.requests, path)
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
        await self._calls.run(self._multipart.complete, self._upload_id, parts)
        self._upload_id = None

    async def abort(self) -> None:
        """Aborts an upload that is not complete and deletes its parts; no-op after `complete`."""
        await asyncio.gather(*self._part_tasks, return_exceptions=True)
        if self._upload_id is not None:
            with contextlib.suppress(Problem, NoSuchFile):  # the store's lifecycle rules delete parts that stay
                await self._calls.run(self._multipart.abort, self._upload_id)
            self._upload_id = None

    async def _put_whole(self) -> None:
        content = b"".join(self._buffer)
        headers = {"Content-Type": self._media_type}
        await self._calls.run(self._calls.requests.send, "PUT", self._path, body=content, headers=headers)

    async def _send(self) -> None:
        """Starts to send the buffered bytes as the next part."""
        if self._upload_id is None:
            await self._begin()
        for part in self._part_tasks:
            if part.done():
                part.result()
        await self._calls.parts.acquire()
        content = b"".join(self._buffer)
        self._buffer, self._missing = [], PART
        self._part_tasks.append(asyncio.create_task(self._send_part(len(self._part_tasks) + 1, content)))

    async def _begin(self) -> None:
        self._upload_id = await self._calls.run(self._multipart.begin, self._media_type)

    async def _send_part(self, number: int, content: bytes) -> Part:
        try:
            return await self._transfer(number, content)
        finally:
            self._calls.parts.release()

    async def _transfer(self, number: int, content: bytes) -> Part:
        assert self._upload_id is not None, "the id comes before the first part"
        return await self._calls.run(self._multipart.send, self._upload_id, number, content)
