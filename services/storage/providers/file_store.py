"""What every file store does. Each kind passes the same tests (tests/integration/storage/providers).

A path is a text of UTF-8 that `domain/paths.py` has made: segments between slashes, none of them empty, `.` or `..`.
Each method raises Problem UNAVAILABLE when the store can't be reached, does not answer in time, or fails.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import NamedTuple, Protocol, runtime_checkable

from shared.contracts.problem import Problem
from shared.telemetry import get_logger

CHUNK = 1024 * 1024
"""Bytes per read when a file is sent to a client; one chunk is read ahead."""

_SIGNATURE = re.compile(r"(?i)\b(x-amz-signature|x-goog-signature|signature|sig)=[^&\s'\"\\)]+")
"""What makes a URL a signed one; errors of HTTP clients quote whole URLs."""

log = get_logger("file store")


class NoSuchFile(Exception):  # noqa: N818 - names the condition
    """The store has nothing at this path."""


class Entry(NamedTuple):
    """A file in the store; `size` in bytes, `changed_at` by the store's clock, to the second at least."""

    path: str
    size: int
    changed_at: datetime


class SignedUpload(NamedTuple):
    """A PUT of the whole file to `url` with these headers stores it."""

    url: str
    headers: dict[str, str]


class Upload(Protocol):
    """The file becomes visible at its path only with `complete`, whole."""

    async def write(self, data: bytes, /) -> None:
        """Adds bytes; waits while as many are being sent as memory is meant for. Raises if earlier ones failed."""

    async def complete(self) -> None:
        """Makes the file visible at its path; replaces an existing one."""

    async def abort(self) -> None:
        """Ends an upload that is not complete, and deletes what it has stored; no effect after `complete`."""


class KeptUpload(Upload, Protocol):
    """An upload that can be continued after a restart, if the store keeps its parts; otherwise it starts again."""

    @property
    def reused(self) -> int:
        """Parts that were in the store already, with the same bytes."""

    async def resume(self, upload_id: str) -> None:
        """Continues an upload at the same path; starts a new one if the store no longer has it."""

    async def abort(self) -> None:
        """Waits for the parts that are being sent. They stay, if the store keeps them."""

    async def discard(self) -> None:
        """As `abort` of an Upload."""


Keep = Callable[[str], Awaitable[None]]
"""Is called with the id of an upload before its first part is sent, if the store keeps parts."""


@runtime_checkable
class FileStore(Protocol):
    """One bucket, container or folder, with all files of the service. Litestar checks the type of what it injects."""

    async def ensure_bucket(self) -> None:
        """Creates the bucket unless it exists; does nothing where a deployer must do that."""

    async def try_to_write(self, path: str, /) -> None:
        """Writes and deletes a small object: a store may answer reads and be unable to write."""

    def upload(self, path: str, media_type: str, /) -> Upload:
        """A new upload to a path. Call `abort` in the end, also after `complete`."""

    def kept_upload(self, path: str, media_type: str, keep: Keep, /) -> KeptUpload:
        """For files that can be made again with the same bytes. Call `abort` or `discard` in the end."""

    async def read(self, path: str, first: int, length: int, /) -> AsyncIterator[bytes]:
        """Streams `length` (> 0) bytes from offset `first`. Raises NoSuchFile before the first chunk is asked for."""

    async def head(self, path: str, /) -> Entry:
        """Raises NoSuchFile."""

    async def delete(self, path: str, /) -> None:
        """Idempotent: no error if there is nothing at the path."""

    def entries(self, prefix: str, /) -> AsyncIterator[Entry]:
        """The files whose paths begin with `prefix`, which is empty or ends with a slash; in no particular order."""

    async def copy(self, source: str, target: str, /) -> None:
        """Within the store, with the media type; replaces an existing file. Raises NoSuchFile."""

    async def signed_read(self, path: str, media_type: str, seconds: int, /) -> str:
        """A URL with which anybody can GET the file (of this media type) for so many seconds, 7 days at most."""

    async def signed_upload(self, path: str, media_type: str, seconds: int, /) -> SignedUpload:
        """With which anybody can PUT a file at this path for so many seconds, 7 days at most."""

    def close(self) -> None:
        """Ends what runs in the background. Calls that are under way may fail."""


def unavailable(error: Exception) -> Problem:
    """The error for callers of the store. The cause is logged, without signatures."""
    log.warning("file store failed", error=_SIGNATURE.sub(r"\1=…", repr(error)))
    return Problem("UNAVAILABLE", "The file store can't be reached right now; try again in a moment")
