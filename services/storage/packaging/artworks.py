"""The artworks of a package: looked up in storage, compared with the package's list, and read in chunks."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import NamedTuple
from uuid import UUID

from services.storage.deciders import ASSET
from services.storage.domain.asset import asset_stream
from services.storage.packaging.meter import Meter
from services.storage.providers.file_store import FileStore, NoSuchFile
from shared.content.files import CHUNK, FileImporter
from shared.content.nodes import Node
from shared.contracts.collections import PackagedArtwork
from shared.eventstore import EventStore
from shared.telemetry import get_logger

Pieces = AsyncGenerator[bytes, None]

log = get_logger("storage")


class Unpackable(Exception):  # noqa: N818 - names the condition
    """The requested package can't be built. The message is the reason that its owner reads."""


class Artwork(NamedTuple):
    """An artwork that is in storage. `file` is the root node above its chunks, None if it has only one chunk."""

    listed: PackagedArtwork
    file: Node | None


class Artworks:
    """Stored artworks. Memory holds one chunk, and 36 bytes per chunk of an artwork with several."""

    def __init__(self, store: EventStore, objects: FileStore) -> None:
        self._store, self._objects = store, objects

    async def look_up(self, listed: PackagedArtwork, collection_id: UUID, user_id: UUID, meter: Meter) -> Artwork:
        """The stored artwork, which was made for the collection, or is the user's.

        It may have been made for an earlier owner, whose file it stays. Raises Unpackable unless its size, sha256 and
        CID are as listed; Stopped.
        """
        await meter.pass_bytes(0)
        asset = (await self._store.load(ASSET, asset_stream(listed.source))).state
        if asset is None or asset.stored.asset_id != listed.asset_id:
            raise _not_stored(listed)
        if asset.stored.user_id != user_id and asset.stored.collection_id != collection_id:
            raise _not_stored(listed)
        stored = asset.stored
        if (stored.size, stored.sha256) != (listed.size, listed.sha256) or stored.cid not in (None, listed.cid):
            raise Unpackable(
                f"Asset {listed.asset_id}, the artwork of token {listed.token}, differs from the file in storage"
            )
        if listed.size <= CHUNK:
            return Artwork(listed, None)
        importer = FileImporter()
        async with aclosing(self._content(listed)) as pieces:
            async for piece in pieces:
                importer.update(piece)
                await meter.pass_bytes(len(piece))
        root = importer.finish()
        assert isinstance(root, Node), "several chunks have a root node"
        if str(root.cid) != listed.cid:
            raise bytes_differ(listed)
        return Artwork(listed, root)

    async def chunks(self, listed: PackagedArtwork) -> Pieces:
        """A stored file in chunks of 1 MiB; the last may be shorter. Raises Unpackable if the store has lost it."""
        buffer = bytearray()
        async with aclosing(self._content(listed)) as pieces:
            async for piece in pieces:
                buffer += piece
                while len(buffer) >= CHUNK:
                    yield bytes(buffer[:CHUNK])
                    del buffer[:CHUNK]
        if buffer:
            yield bytes(buffer)

    async def _content(self, listed: PackagedArtwork) -> Pieces:
        if listed.size == 0:
            return
        try:
            pieces = await self._objects.read(listed.source, 0, listed.size)
        except NoSuchFile as error:
            log.exception("a recorded file is not in the store", asset_id=listed.asset_id, path=listed.source)
            raise Unpackable(f"The bytes of asset {listed.asset_id} are not in the file store") from error
        async for piece in pieces:
            yield piece


def _not_stored(listed: PackagedArtwork) -> Unpackable:
    return Unpackable(f"Asset {listed.asset_id}, of token {listed.token}, is not in storage")


def bytes_differ(listed: PackagedArtwork) -> Unpackable:
    """The error for a file in the store that has another digest than the listed one."""
    return Unpackable(f"The bytes of asset {listed.asset_id} do not match the digest recorded for them")
