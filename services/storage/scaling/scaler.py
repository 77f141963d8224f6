"""Makes the smaller copies of published tokens' images, one image after the other.

What is left to do is in the tables, so it goes on where it was after a restart. Replicas may do the same image: one
of them records it.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, LiteralString, NamedTuple
from uuid import uuid5

from services.storage.deciders import ASSET
from services.storage.domain.asset import Asset, ScaleImage, asset_stream, decide
from services.storage.handlers.asset import CommandHandlers, FileDeclaration
from services.storage.providers.s3 import NoSuchFile, S3Store
from shared.contracts.storage import AssetStored, ImageScaled, Rendition, RenditionKind
from shared.eventstore import Context, EventStore
from shared.handling.transient import is_transient
from shared.telemetry import get_logger

if TYPE_CHECKING:
    from services.storage.scaling.pictures import Copy, Picture

MAX_BYTES = 64 * 1024 * 1024
"""Of an image file that is decoded; it is in memory meanwhile."""
BATCH = 20
BEHIND_SECONDS, BEHIND_CHECKS = 0.5, 60
"""After a publication, how often it is looked whether its images have arrived in the read tables."""
CHECK_SECONDS = 60.0
"""Otherwise: for what another replica has begun, or what failed."""
WEBP = "image/webp"
ACTOR = "scaler"

SELECT_UNSCALED: LiteralString = """
select asset_id, path from (
  select a.asset_id, a.path, row_number() over (partition by a.user_id order by a.asset_id) as turn
  from published_collections c
  join published_tokens t on t.collection_id = c.collection_id and t.number <= c.tokens
  join generation_files_v1 f on f.gid = t.gid and f.job_id = c.job_id
  join assets_v3 a on a.asset_id = f.image_id and a.gid = t.gid and a.job_id = c.job_id
  left join renditions_v1 r on r.asset_id = a.asset_id
  where c.has_renditions and not c.is_archived and r.asset_id is null and a.asset_id <> all(%s::bigint[])
  group by a.asset_id, a.path, a.user_id
) waiting
order by turn, asset_id limit %s"""
"""The users' images in turn, so that none waits for another user's thousands."""

log = get_logger("storage")


class Image(NamedTuple):
    asset_id: int
    path: str


class Scaler:
    def __init__(self, store: EventStore, files: CommandHandlers, objects: S3Store) -> None:
        self._store, self._files, self._objects = store, files, objects
        self._published = asyncio.Event()

    def wake(self) -> None:
        """A collection was published: its images are to be scaled."""
        self._published.set()

    async def run(self) -> None:
        """Runs until cancelled."""
        checks = 0
        while True:
            if self._published.is_set():
                self._published.clear()
                checks = BEHIND_CHECKS
            try:
                await self.scale_all()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("images wait to be scaled", error=str(error))
            seconds = BEHIND_SECONDS if checks > 0 else CHECK_SECONDS
            checks -= 1
            try:
                await asyncio.wait_for(self._published.wait(), seconds)
            except TimeoutError:
                continue

    async def scale_all(self) -> None:
        """Scales all images that are to be, each once. One that fails does not block those after it."""
        tried: list[int] = []
        while True:
            rows = await self._store.pool.rows(SELECT_UNSCALED, (tried, BATCH))
            for image in (Image(*row) for row in rows):
                try:
                    await self._scale(image)
                except Exception as error:
                    if is_transient(error):
                        raise
                    log.exception("an image was not scaled", asset_id=image.asset_id)
                tried.append(image.asset_id)
            if len(rows) < BATCH:
                return

    async def _scale(self, image: Image) -> None:
        stream_id = asset_stream(image.path)
        asset = (await self._store.load(ASSET, stream_id)).state
        if asset is None or asset.scaled is not None:
            return
        content = await self._content(asset.stored)
        picture = None if content is None else await asyncio.to_thread(_decoded, content)
        event = await self._stored(asset, picture)
        context = Context(command_id=uuid5(stream_id, "scale"), actor=ACTOR)
        await self._store.handle(ASSET, stream_id, partial(decide, ScaleImage(event)), context)

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
