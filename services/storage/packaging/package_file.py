"""Builds one package: looks its artworks up, writes the CAR file, and lists its blocks. Deterministic."""

import asyncio
from dataclasses import dataclass

from services.storage.domain.package import Package, package_path
from services.storage.handlers.asset import CommandHandlers, FileDeclaration
from services.storage.packaging.artworks import Artwork, Artworks, Pieces, Unpackable
from services.storage.packaging.car_file import car_file, sha256_of
from services.storage.packaging.listed_blocks import listed
from services.storage.packaging.meter import Meter
from services.storage.providers.file_store import Upload
from services.storage.tables.package_blocks import BlockList, PackageBlocks
from shared.content.cid import NotACid
from shared.content.files import CHUNK
from shared.content.package import Contents, Plan, contents_of, plan, provenance
from shared.contracts.collections import PackageRequested
from shared.contracts.storage import PackageStored
from shared.eventstore import Context

MEDIA_TYPE = "application/vnd.ipld.car"
PIECE_SECONDS = 300.0
"""Longest wait for the next bytes of an artwork."""


@dataclass(frozen=True)
class PackageFiles:
    """`files` stores the packages, with their size limit."""

    artworks: Artworks
    files: CommandHandlers
    package_blocks: PackageBlocks

    async def build(
        self, request: PackageRequested, package: Package, upload: Upload, meter: Meter, context: Context
    ) -> PackageStored:
        """Stores the package at `path_of(request)` with `upload`. Idempotent.

        Raises Unpackable if there is something wrong with its files, Stopped if `meter` says so, and as `store_file`.
        """
        contents = contents_of(request, package.listed_parts())
        try:
            planned = await asyncio.to_thread(plan, contents)
        except NotACid as error:
            raise Unpackable(f"An artwork's CID is not valid: {error}") from error
        artworks = await self._look_up(planned, request, meter)
        meter.begin("writing", len(planned.texts) + len(artworks), _size(planned))
        sha256s: dict[str, str] = {}
        blocks = BlockList()
        car = listed(car_file(planned, artworks, self.artworks, sha256s, meter), blocks)
        declared = FileDeclaration(
            user_id=request.user_id,
            name="package.car",
            path=path_of(request),
            mime_type=MEDIA_TYPE,
            collection_id=request.collection_id,
        )
        stored = (await self.files.store_file(declared, _until_stopped(car, meter), context, upload)).asset.stored
        # Of an early release's request it is not known: its collection is looked up when a block is read.
        public_blocks = None if request.published is False else blocks
        await self.package_blocks.record(stored.asset_id, request.collection_id, stored.path, public_blocks)
        return PackageStored(
            package_id=request.package_id,
            attempt=request.attempt,
            root=str(planned.root.cid),
            asset_id=stored.asset_id,
            size=stored.size,
            sha256=stored.sha256,
            provenance=_provenance(contents, sha256s),
        )

    async def _look_up(self, planned: Plan, request: PackageRequested, meter: Meter) -> dict[str, Artwork]:
        read = sum(listed.size for listed in planned.assets.values() if listed.size > CHUNK)
        meter.begin("checking", len(planned.assets), read)
        artworks = {}
        for path, listed_file in planned.assets.items():
            artworks[path] = await self.artworks.look_up(listed_file, request.collection_id, request.user_id, meter)
            meter.end_file()
        return artworks


def path_of(request: PackageRequested) -> str:
    """Where the file of an attempt is stored."""
    return package_path(request.user_id, request.package_id, request.attempt)


async def _until_stopped(car: Pieces, meter: Meter) -> Pieces:
    """The file unchanged. Raises Stopped before its end if it was stopped: what is complete is stored."""
    async for piece in car:
        yield piece
    await meter.last_chance()


def _size(planned: Plan) -> int:
    return sum(map(len, planned.texts.values())) + sum(listed.size for listed in planned.assets.values())


def _provenance(contents: Contents, sha256s: dict[str, str]) -> str:
    return provenance(sha256_of(artwork.cid, sha256s) for artwork in contents.artworks)
