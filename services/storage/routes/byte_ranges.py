"""Parts of a content as one response body: `multipart/byteranges` (RFC 9110, section 14.6)."""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

from services.storage.domain.ranges import ByteRange

Read = Callable[[ByteRange], Awaitable[AsyncIterator[bytes]]]
"""Opens a span of a content: its bytes, in order."""


class ByteRanges(NamedTuple):
    """Two or more spans of a content of `size` bytes, and the text that separates them."""

    spans: Sequence[ByteRange]
    size: int
    media_type: str
    boundary: str

    @property
    def content_type(self) -> str:
        return f"multipart/byteranges; boundary={self.boundary}"

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return sum(len(self._head(span)) + span.length for span in self.spans) + len(self._end)

    async def body(self, first: AsyncIterator[bytes], read: Read) -> AsyncIterator[bytes]:
        """The body; `first` has the bytes of the first span. Raises as `read` does."""
        for index, span in enumerate(self.spans):
            yield self._head(span)
            pieces = first if index == 0 else await read(span)
            try:
                async for piece in pieces:
                    yield piece
            finally:
                if isinstance(pieces, AsyncGenerator):
                    await pieces.aclose()
        yield self._end

    def _head(self, span: ByteRange) -> bytes:
        lines = (
            f"\r\n--{self.boundary}",
            f"Content-Type: {self.media_type}",
            f"Content-Range: bytes {span.first}-{span.last}/{self.size}",
            "\r\n",
        )
        return "\r\n".join(lines).encode()

    @property
    def _end(self) -> bytes:
        return f"\r\n--{self.boundary}--\r\n".encode()
