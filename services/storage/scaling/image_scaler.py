"""Makes the smaller copies of one image, and records them with it: once, whichever replica is first."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING
from uuid import uuid5

from services.storage.deciders import ASSET
from services.storage.domain.asset import Asset, ScaleImage, asset_stream, decide
from services.storage.handlers.asset import CommandHandlers, FileDeclaration
from services.storage.providers.file_store import FileStore, NoSuchFile
from shared.contracts.storage import AssetStored, ImageScaled, Rendition, RenditionKind
from shared.eventstore import Context, EventStore
from shared.telemetry import get_logger

if TYPE_CHECKING:
    from services.storage.scaling.pictures import Copy, Picture

MAX_BYTES = 64 * 1024 * 1024
"""Of an image file that is decoded; it is in memory meanwhile."""
WEBP = "image/webp"
ACTOR = "scaler"

log = get_logger("storage")


class ImageScaler:
    def __init__(self, store: EventStore, files: CommandHandlers, objects: FileStore) -> None:
        self._store, self._files, self._objects = store, files, objects

    async def scale(self, path: str) -> bool:
        """Scales the image at this path, unless it is recorded that it was. False if no file is recorded there.

        Raises UNAVAILABLE, StoreUnavailable.
        """
        stream_id = asset_stream(path)
        asset = (await self._store.load(ASSET, stream_id)).state
        if asset is None:
            return False
        if asset.scaled is not None:
            return True
        content = await self._content(asset.stored)
        picture = None if content is None else await asyncio.to_thread(_decoded, content)
        event = await self._stored(asset, picture)
        context = Context(command_id=uuid5(stream_id, "scale"), actor=ACTOR)
        await self._store.handle(ASSET, stream_id, partial(decide, ScaleImage(event)), context)
        return True

    async def _content(self, stored: AssetStored) -> bytes | None:
        """The file; None if it is empty, too large, or lost."""
        if not 0 < stored.size <= MAX_BYTES:
            return None
        try:
            return b"".join([piece async for piece in await self._objects.read(stored.path, 0, stored.size)])
        except NoSuchFile:
            log.exception("a recorded file is not in the store", asset_id=stored.asset_id, path=stored.path)
            return None

    async def _stored(self, asset: Asset, picture: "Picture | None") -> ImageScaled:
        """The event, after the copies are stored."""
        if picture is None:
            return ImageScaled(asset.stored.asset_id)
        renditions = [await self._store_copy(asset.stored, kind, copy) for kind, copy in picture.copies.items()]
        return ImageScaled(asset.stored.asset_id, picture.width, picture.height, renditions)

    async def _store_copy(self, image: AssetStored, kind: RenditionKind, copy: "Copy") -> Rendition:
        declared = FileDeclaration(
            user_id=image.user_id,
            name=f"{kind}.webp",
            path=rendition_path(image, kind, copy.content),
            mime_type=WEBP,
            collection_id=image.collection_id,
        )
        context = Context(command_id=uuid5(asset_stream(declared.path), "store"), actor=ACTOR)
        stored = (await self._files.store_file(declared, _whole(copy.content), context)).asset.stored
        assert stored.cid is not None, "each file that this release stores has a CID"
        return Rendition(
            kind=kind,
            asset_id=stored.asset_id,
            path=stored.path,
            mime_type=WEBP,
            width=copy.width,
            height=copy.height,
            size=stored.size,
            sha256=stored.sha256,
            cid=stored.cid,
        )


def rendition_path(image: AssetStored, kind: RenditionKind, content: bytes) -> str:
    """The path of a smaller copy: another one for other bytes, which another version of the encoder may make."""
    digest = hashlib.sha256(content).hexdigest()[:16]
    return f"renditions/{image.user_id}/{image.asset_id}/{digest}/{kind}.webp"


def _decoded(content: bytes) -> "Picture | None":
    """As `pictures.scaled`, in a thread. Pillow is loaded with the first image: most replicas never need it."""
    from services.storage.scaling.pictures import scaled  # noqa: PLC0415

    return scaled(content)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
