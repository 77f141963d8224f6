"""A file store that a test is about, and how to make it fail."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from services.storage.providers.file_store import FileStore
from tests.support.silence import SilentProxy


@dataclass
class Subject:
    """`proxy` is between the store and its client; None where there is no connection."""

    store: FileStore
    proxy: SilentProxy | None = None
    page_size: int = 3
    unfinished: Callable[[], list[str]] = field(default=list)
    """What uploads have left behind where no listing shows it."""
    checks_signatures: bool = True
    """False of a server that answers whatever a link's signature is."""

    async def put(self, path: str, *pieces: bytes, media_type: str = "text/plain") -> None:
        upload = self.store.upload(path, media_type)
        try:
            for piece in pieces:
                await upload.write(piece)
            await upload.complete()
        finally:
            await upload.abort()

    async def get(self, path: str, first: int = 0, length: int | None = None) -> bytes:
        if length is None:
            length = (await self.store.head(path)).size - first
        return b"".join([chunk async for chunk in await self.store.read(path, first, length)])

    async def paths(self, prefix: str = "") -> list[str]:
        """Sorted."""
        return sorted([entry.path async for entry in self.store.entries(prefix)])


async def pieces_of(content: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]
