"""Commands on publish packages: record the parts of a package's list, build it, record the outcome.

Building is deterministic: the same request gives the same bytes.
"""

import asyncio
from functools import partial

from services.storage.deciders import PACKAGE
from services.storage.domain.package import EndPackage, Package, TakePart, decide, package_path, package_stream
from services.storage.handlers.asset import CommandHandlers, FileDeclaration
from services.storage.packaging.artworks import Artworks, Unpackable
from services.storage.packaging.car_file import car_file, sha256_of
from services.storage.packaging.listed_blocks import listed
from services.storage.tables.package_blocks import BlockList, PackageBlocks
from shared.content.cid import NotACid
from shared.content.package import contents_of, plan, provenance
from shared.contracts.collections import PackagePartListed, PackageRequested
from shared.contracts.problem import Problem
from shared.contracts.storage import PackageFailed, PackageStored
from shared.eventstore import Context, EventStore

MEDIA_TYPE = "application/vnd.ipld.car"
MAX_BUILDS = 2
"""Concurrent builds per process."""
PIECE_SECONDS = 300.0
"""Longest wait for the next bytes of an artwork."""


class PackageHandlers:
    def __init__(
        self, store: EventStore, artworks: Artworks, files: CommandHandlers, package_blocks: PackageBlocks
    ) -> None:
        """`files` stores the packages, with their size limit."""
        self._store, self._artworks, self._files, self._package_blocks = store, artworks, files, package_blocks
        self._slots = asyncio.Semaphore(MAX_BUILDS)

    async def take_part(self, part: PackagePartListed, context: Context) -> None:
        """Records one part of a package's list of files. Idempotent."""
        stream_id = package_stream(part.package_id, part.attempt)
        await self._store.handle(PACKAGE, stream_id, partial(decide, TakePart(part)), context)

    async def build(self, request: PackageRequested, context: Context) -> None:
        """Builds and stores the package, or records why it can't be built. Idempotent.

        Raises UNAVAILABLE while PostgreSQL or the file store can't be reached.
        """
        stream_id = package_stream(request.package_id, request.attempt)
        package = (await self._store.load(PACKAGE, stream_id)).state
        if package.outcome is not None:
            return
        outcome: PackageStored | PackageFailed
        try:
            async with self._slots:
                outcome = await self._store_package(request, package, context)
        except Unpackable as error:
            outcome = PackageFailed(request.package_id, request.attempt, str(error))
        except Problem as problem:
            if problem.code == "UNAVAILABLE":
                raise
            outcome = PackageFailed(request.package_id, request.attempt, problem.detail)
        await self._store.handle(PACKAGE, stream_id, partial(decide, EndPackage(outcome)), context)

    async def _store_package(self, request: PackageRequested, package: Package, context: Context) -> PackageStored:
        missing = package.missing(request)
        if missing:
            raise Unpackable(
                f"Part {missing[0]} of the package's list, which has {request.parts} parts, has not arrived"
            )
        contents = contents_of(request, package.listed_parts())
        try:
            planned = await asyncio.to_thread(plan, contents)
        except NotACid as error:
            raise Unpackable(f"An artwork's CID is not valid: {error}") from error
        artworks = {
            path: await self._artworks.look_up(listed, request.collection_id, request.user_id)
            for path, listed in planned.assets.items()
        }
        declared = FileDeclaration(
            user_id=request.user_id,
            name="package.car",
            path=package_path(request.user_id, request.package_id, request.attempt),
            mime_type=MEDIA_TYPE,
            collection_id=request.collection_id,
        )
        sha256s: dict[str, str] = {}
        blocks = BlockList()
        car = listed(car_file(planned, artworks, self._artworks, sha256s), blocks)
        stored = (await self._files.store_file(declared, car, context)).asset.stored
        # Of an early release's request it is not known: its collection is looked up when a block is read.
        public_blocks = None if request.published is False else blocks
        await self._package_blocks.record(stored.asset_id, request.collection_id, stored.path, public_blocks)
        return PackageStored(
            package_id=request.package_id,
            attempt=request.attempt,
            root=str(planned.root.cid),
            asset_id=stored.asset_id,
            size=stored.size,
            sha256=stored.sha256,
            provenance=provenance(sha256_of(artwork.cid, sha256s) for artwork in contents.artworks),
        )
