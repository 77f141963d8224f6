"""Taking in a file, and commands on assets: load, decide, append.

The order of writing: the bytes stream to the store, are checked, become visible, and are then recorded. A crash between
the last two leaves a file that nobody knows of; the same upload again writes it again and records it.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple
from uuid import UUID, uuid5

import msgspec
import psycopg

from services.storage.asset_ids import AssetIds
from services.storage.domain.asset import (
    Asset,
    DescribeAsset,
    StoreAsset,
    asset_stream,
    decide,
    evolve,
    refuse_other_bytes,
)
from services.storage.providers.s3 import S3Store, S3Upload
from shared.content.files import FileImporter
from shared.contracts.problem import Detail, Problem, invalid
from shared.contracts.storage import AssetStored
from shared.eventstore import Context, Decider, EventStore, Handled, StoreUnavailable
from shared.eventstore.connections import Bounds, connected, within
from shared.http.idempotency import reused_key

ASSET: Decider[Asset | None] = Decider(name="asset", initial=None, evolve=evolve, state_type=Asset)

LOCK = "select pg_advisory_xact_lock(hashtextextended(%s, 0))"
TURNS = 4
"""Files that one process makes visible at the same time: each holds a connection meanwhile."""
TURN_WITHIN = 12.0
"""Seconds until it is its turn, or fails."""
TURN = Bounds(lock=10.0, idle_in_transaction=60.0)
"""The object store may take its time to make a large file visible, and nothing happens on the connection meanwhile."""


class Incoming(msgspec.Struct, frozen=True, kw_only=True):
    """A file on its way in: where it goes, and what its sender says of it."""

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


class Stored(NamedTuple):
    """`created` is False when the same file lay at the path before."""

    asset: Asset
    position: int
    created: bool


class Content(NamedTuple):
    """What a file was found to be while it streamed in."""

    size: int
    sha256: str
    cid: str


class Files:
    def __init__(
        self,
        store: EventStore,
        objects: S3Store,
        link: Callable[[int, str], str],
        *,
        max_bytes: int,
        at_once: int,
        idle_seconds: float,
    ) -> None:
        """`link`: where clients find the file with this asset id and path."""
        self._store, self._objects, self._ids, self._link = store, objects, AssetIds(store), link
        self._max_bytes, self._idle_seconds = max_bytes, idle_seconds
        self._slots = asyncio.Semaphore(at_once)
        self._turns = asyncio.Semaphore(TURNS)

    async def take_in(self, incoming: Incoming, body: AsyncIterator[bytes], context: Context) -> Stored:
        """Stores and records a file, or finds that it is there.

        Raises Problem: VALIDATION_FAILED when the bytes are not those announced, PAYLOAD_TOO_LARGE, CONFLICT when
        another file lies at the path, UNAVAILABLE. Nothing is left in the store then.
        """
        if incoming.size is not None and incoming.size > self._max_bytes:
            raise self._too_large()
        loaded = await self._store.load(ASSET, asset_stream(incoming.path))
        if loaded.state is not None:
            content = await self._measure(body, None)
            _compare(incoming, content)
            _refuse_other_bytes(loaded.state, content, context)
            return Stored(loaded.state, loaded.position, created=False)
        async with self._slots:
            return await self._write(incoming, body, context)

    async def describe(self, path: str, command: DescribeAsset, context: Context) -> Handled[Asset | None]:
        return await self._store.handle(ASSET, asset_stream(path), lambda asset: decide(command, asset), context)

    async def _write(self, incoming: Incoming, body: AsyncIterator[bytes], context: Context) -> Stored:
        upload = self._objects.upload(incoming.path, incoming.mime_type)
        try:
            content = await self._measure(body, upload)
            _compare(incoming, content)
            async with self._turn(incoming.path):
                loaded = await self._store.load(ASSET, asset_stream(incoming.path))
                if loaded.state is not None:
                    _refuse_other_bytes(loaded.state, content, context)
                    return Stored(loaded.state, loaded.position, created=False)
                await upload.complete()
                return await self._record(incoming, content, context)
        finally:
            await upload.abort()

    async def _record(self, incoming: Incoming, content: Content, context: Context) -> Stored:
        said = {name: getattr(incoming, name) for name in incoming.__struct_fields__}
        asset_id = await self._ids.take()
        told = {"asset_id": asset_id, "url": self._link(asset_id, incoming.path)}
        stored = AssetStored(**{**said, **told, **content._asdict()})
        stream_id = asset_stream(incoming.path)
        # The file itself names the command: the same upload is the same command, whoever sends it how often. Under an
        # Idempotency-Key the key does, so that who uses it for another file is told so.
        command_id = context.command_id if context.repeatable else uuid5(stream_id, content.sha256)
        handled = await self._store.handle(
            ASSET,
            stream_id,
            lambda asset: decide(StoreAsset(stored), asset),
            msgspec.structs.replace(context, command_id=command_id, repeatable=False),
        )
        assert handled.state is not None, f"{incoming.path} was recorded just now"
        return Stored(handled.state, handled.position, created=bool(handled.events))

    async def _measure(self, body: AsyncIterator[bytes], upload: S3Upload | None) -> Content:
        """Reads the body to its end, into the upload if there is one."""
        digest, importer, size = hashlib.sha256(), FileImporter(), 0
        chunks = aiter(body)
        while True:
            try:
                async with asyncio.timeout(self._idle_seconds):
                    chunk = await anext(chunks, None)
            except TimeoutError as error:
                raise invalid(f"The file stopped in its middle: nothing came for {self._idle_seconds:g} s") from error
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
    async def _turn(self, path: str) -> AsyncIterator[None]:
        """Only one upload at a time, over all replicas, makes a file visible at a path and records it.

        Else a slower upload of other bytes could replace the file of the one that was recorded.
        """
        try:
            async with self._turns, connected(self._store.dsn, "upload", TURN) as connection:
                async with within(TURN_WITHIN, connection):
                    await connection.execute(LOCK, (path,))
                yield
        except psycopg.OperationalError as error:
            raise StoreUnavailable(f"PostgreSQL can't be reached: {error}") from error


def _refuse_other_bytes(there: Asset, content: Content, context: Context) -> None:
    """CONFLICT when another file lies at the path; IDEMPOTENCY_KEY_REUSED when its own key brought it there."""
    try:
        refuse_other_bytes(there, content.sha256)
    except Problem as conflict:
        if context.repeatable:
            raise reused_key() from conflict
        raise


def _compare(incoming: Incoming, content: Content) -> None:
    """VALIDATION_FAILED unless the bytes are those that were announced."""
    if incoming.size is not None and incoming.size != content.size:
        message = f"announced {incoming.size} bytes, but {content.size} came"
        raise invalid("The file is not complete", Detail("header:Content-Length", message))
    if incoming.sha256 is not None and incoming.sha256 != content.sha256:
        message = f"is not the sha256 of the bytes that came, which is {content.sha256}"
        raise invalid("The file is not what was announced", Detail("header:X-Content-SHA256", message))
