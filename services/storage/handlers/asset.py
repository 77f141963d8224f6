"""Commands on assets, and the storage of their bytes: load, decide, append.

The bytes stream to the file store, are checked, become visible, and are then recorded. A crash between the last two
leaves an unrecorded file; a retry of the upload overwrites and records it.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
import psycopg

from services.storage.deciders import ASSET
from services.storage.domain.asset import (
    Asset,
    DescribeAsset,
    StoreAsset,
    asset_stream,
    decide,
    refuse_other_bytes,
)
from services.storage.providers.file_store import FileStore, Upload
from shared.content.files import FileImporter
from shared.contracts.problem import Detail, Problem, invalid
from shared.contracts.storage import AssetStored
from shared.eventstore import Context, EventStore, Handled, StoreUnavailable
from shared.eventstore.connections import Bounds, connected, within
from shared.http.idempotency import reused_key
from shared.id_blocks import IdBlocks

ID_BLOCK = 64
"""Ids per value of the sequence; the same as its increment in `migrations/0001_asset_ids.sql`."""
LOCK_PATH = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
MAX_LOCKED_PATHS = 4
"""Files that one process completes at the same time; each holds a connection and its path's lock meanwhile."""
LOCK_SECONDS = 12.0
"""Longest wait for a path's lock."""
LOCK_BOUNDS = Bounds(lock=10.0, idle_in_transaction=60.0)
"""The connection is idle while the file store completes an upload, which takes long for a large file."""


class FileDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """The path of an uploaded file, and what its sender declared about it; `size` in bytes."""

    user_id: UUID
    name: str
    path: str
    mime_type: str
    sha256: str | None = None
    size: int | None = None
    job_id: UUID | None = None
    gid: UUID | None = None
    sid: UUID | None = None
    collection_id: UUID | None = None
    component_id: int | None = None


class StoredFile(NamedTuple):
    """`created` is False if the same file was at the path before."""

    asset: Asset
    position: int
    created: bool


class Content(NamedTuple):
    """Size in bytes and digests of a file, computed while it streamed in."""

    size: int
    sha256: str
    cid: str


class CommandHandlers:
    def __init__(
        self,
        store: EventStore,
        objects: FileStore,
        link: Callable[[int, str], str],
        *,
        max_bytes: int,
        at_once: int,
        idle_seconds: float,
    ) -> None:
        """`link` returns the public URL of an asset id and path.

        `max_bytes` bounds one file, `at_once` the concurrent uploads, `idle_seconds` the wait for the next bytes.
        """
        self._store, self._objects, self._link = store, objects, link
        self._asset_ids = IdBlocks(store, "asset_ids", ID_BLOCK)
        self._max_bytes, self._idle_seconds = max_bytes, idle_seconds
        self._slots = asyncio.Semaphore(at_once)
        self._lock_slots = asyncio.Semaphore(MAX_LOCKED_PATHS)

    async def store_file(
        self,
        declared: FileDeclaration,
        body: AsyncIterator[bytes],
        context: Context,
        upload: Upload | None = None,
    ) -> StoredFile:
        """Stores and records a file. Idempotent: the same file at the same path is not stored again.

        `upload`: the one to write to, at the same path, instead of a new one.

        Raises VALIDATION_FAILED if the bytes differ from the declared size or sha256 or stop coming, PAYLOAD_TOO_LARGE,
        CONFLICT or IDEMPOTENCY_KEY_REUSED if another file is at the path, UNAVAILABLE.
        """
        if declared.size is not None and declared.size > self._max_bytes:
            raise self._too_large()
        loaded = await self._store.load(ASSET, asset_stream(declared.path))
        if loaded.state is not None:
            content = await self._receive(body, None)
            _check_declaration(declared, content)
            _refuse_other_bytes(loaded.state, content, context)
            return StoredFile(loaded.state, loaded.position, created=False)
        async with self._slots:
            upload = upload or self._objects.upload(declared.path, declared.mime_type)
            return await self._write(declared, body, context, upload)

    async def stored_file(self, path: str) -> StoredFile | None:
        """The file that is recorded at a path, if any."""
        loaded = await self._store.load(ASSET, asset_stream(path))
        return None if loaded.state is None else StoredFile(loaded.state, loaded.position, created=False)

    async def describe(self, path: str, command: DescribeAsset, context: Context) -> Handled[Asset | None]:
        return await self._store.handle(ASSET, asset_stream(path), lambda asset: decide(command, asset), context)

    async def _write(
        self, declared: FileDeclaration, body: AsyncIterator[bytes], context: Context, upload: Upload
    ) -> StoredFile:
        try:
            content = await self._receive(body, upload)
            _check_declaration(declared, content)
            async with self._path_lock(declared.path):
                loaded = await self._store.load(ASSET, asset_stream(declared.path))
                if loaded.state is not None:
                    _refuse_other_bytes(loaded.state, content, context)
                    return StoredFile(loaded.state, loaded.position, created=False)
                await upload.complete()
                return await self._record(declared, content, context)
        finally:
            await upload.abort()

    async def _record(self, declared: FileDeclaration, content: Content, context: Context) -> StoredFile:
        [asset_id] = await self._asset_ids.take(1)
        assigned = {"asset_id": asset_id, "url": self._link(asset_id, declared.path)}
        stored = AssetStored(**{**msgspec.structs.asdict(declared), **assigned, **content._asdict()})
        stream_id = asset_stream(declared.path)
        # The command id derives from the content, so a repeated upload is the same command. With an Idempotency-Key it
        # derives from the key, so that the key's reuse for another file is refused.
        command_id = context.command_id if context.repeatable else uuid5(stream_id, content.sha256)
        handled = await self._store.handle(
            ASSET,
            stream_id,
            lambda asset: decide(StoreAsset(stored), asset),
            msgspec.structs.replace(context, command_id=command_id, repeatable=False),
        )
        assert handled.state is not None, f"{declared.path} was recorded just now"
        return StoredFile(handled.state, handled.position, created=bool(handled.events))

    async def _receive(self, body: AsyncIterator[bytes], upload: Upload | None) -> Content:
        """Reads the body to its end, and writes it to `upload` if there is one. Raises as `store_file`."""
        digest, importer, size = hashlib.sha256(), FileImporter(), 0
        chunks = aiter(body)
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise invalid(
                    f"The upload is incomplete: no bytes arrived for {self._idle_seconds:g} s; send the file again"
                ) from error
            if chunk is None:
                return Content(size, digest.hexdigest(), str(importer.finish().cid))
            size += len(chunk)
            if size > self._max_bytes:
                raise self._too_large()
            digest.update(chunk)
            importer.update(chunk)
            if upload is not None:
                await upload.write(chunk)

    def _too_large(self) -> Problem:
        return Problem("PAYLOAD_TOO_LARGE", f"A file may have at most {self._max_bytes} bytes")

    @contextlib.asynccontextmanager
    async def _path_lock(self, path: str) -> AsyncIterator[None]:
        """Locks a path over all replicas while a file becomes visible there and is recorded.

        Else a slower upload of other bytes could overwrite the file that was recorded. Raises UNAVAILABLE.
        """
        try:
            async with self._lock_slots, connected(self._store.dsn, "upload", LOCK_BOUNDS) as connection:
                async with within(LOCK_SECONDS, connection):
                    await connection.execute(LOCK_PATH, (path,))
                yield
        except psycopg.OperationalError as error:
            raise StoreUnavailable(f"PostgreSQL can't be reached: {error}") from error


def _refuse_other_bytes(asset: Asset, content: Content, context: Context) -> None:
    """Raises CONFLICT if another file is at the path, or IDEMPOTENCY_KEY_REUSED if the same key stored it."""
    try:
        refuse_other_bytes(asset, content.sha256)
    except Problem as conflict:
        if context.repeatable:
            raise reused_key() from conflict
        raise


def _check_declaration(declared: FileDeclaration, content: Content) -> None:
    """Raises VALIDATION_FAILED unless the bytes have the size and the sha256 that were declared."""
    if declared.size is not None and declared.size != content.size:
        message = f"declares {declared.size} bytes, but {content.size} arrived"
        raise invalid("The file is not complete", Detail("header:Content-Length", message))
    if declared.sha256 is not None and declared.sha256 != content.sha256:
        message = f"is not the sha256 of the body, which is {content.sha256}"
        raise invalid("The file does not match its declared sha256", Detail("header:X-Content-SHA256", message))
