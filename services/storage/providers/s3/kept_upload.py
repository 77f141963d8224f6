"""An upload that outlives the process that began it: a later one sends only the parts that the store does not have.

It is for files that can be made again with the same bytes.
"""

import asyncio
import hashlib
from collections.abc import Mapping

from minio.datatypes import Part

from services.storage.providers.file_store import Keep
from services.storage.providers.s3.calls import S3Calls
from services.storage.providers.s3.upload import S3Upload


class S3KeptUpload(S3Upload):
    """`abort` leaves the parts in the store, so that another upload continues with them; `discard` deletes them.

    `keep` is called with the upload's id before the first part is sent.
    """

    def __init__(self, calls: S3Calls, path: str, media_type: str, keep: Keep) -> None:
        super().__init__(calls, path, media_type)
        self._keep = keep
        self._stored_parts: Mapping[int, Part] = {}
        self.reused = 0
        """Parts that were in the store already, with the same bytes."""

    async def resume(self, upload_id: str) -> None:
        """Continues an upload at the same path; starts a new one if the store no longer has it."""
        parts = await self._calls.run(self._multipart.parts, upload_id)
        if parts is not None:
            self._upload_id, self._stored_parts = upload_id, parts

    async def abort(self) -> None:
        """Waits for the parts that are being sent. They stay."""
        await asyncio.gather(*self._part_tasks, return_exceptions=True)

    async def discard(self) -> None:
        """Deletes the parts of an upload that is not complete; no effect after `complete`."""
        await super().abort()

    async def _begin(self) -> None:
        await super()._begin()
        assert self._upload_id is not None, "it has begun"
        await self._keep(self._upload_id)

    async def _transfer(self, number: int, content: bytes) -> Part:
        stored = self._stored_parts.get(number)
        if stored is None or stored.size != len(content) or stored.etag != await asyncio.to_thread(_md5, content):
            return await super()._transfer(number, content)
        self.reused += 1
        return Part(number, stored.etag)


def _md5(content: bytes) -> str:
    """A part's ETag, unless the store encrypts it: then the part is sent again."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()
