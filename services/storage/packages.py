"""Builds publish packages: from what was asked for, and the artworks' bytes, to one CAR file in the store.

The bytes of artworks stream from the store through here and back; what is held of them is one chunk, and 36 bytes for
each chunk of those that have several. Whoever builds it again gets the same bytes.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from functools import partial
from typing import NamedTuple
from uuid import UUID, uuid5

from services.storage.domain import package
from services.storage.domain.asset import asset_stream
from services.storage.domain.package import EndPackage, Package, TakePart, package_path
from services.storage.handlers import ASSET, Files, Incoming
from services.storage.providers.s3 import NoSuchFile, S3Store
from shared.content import car
from shared.content.cid import RAW, Cid, NotACid
from shared.content.files import CHUNK, FileImporter, Leaf, balanced
from shared.content.nodes import Node
from shared.content.package import Plan, plan, provenance
from shared.content.tree import Step, blocks_of, steps
from shared.contracts.collections import PackagedArtwork, PackagePartListed, PackageRequested
from shared.contracts.problem import Problem
from shared.contracts.storage import PackageFailed, PackageStored
from shared.eventstore import Context, Decider, EventStore, RecordedEvent
from shared.http import get_logger
from shared.messaging import Consumer

PACKAGE: Decider[Package] = Decider(name="package", initial=package.NOTHING, evolve=package.evolve, state_type=Package)
PACKAGES = "storage-packages-v1"
MEDIA_TYPE = "application/vnd.ipld.car"
MAX_BUILDS = 2
"""Packages that one process builds at the same time."""
PIECE_SECONDS = 300.0
"""Seconds that the store may take for the next piece of an artwork."""

Pieces = AsyncGenerator[bytes, None]

log = get_logger("storage")


class Unpackable(Exception):  # noqa: N818 - what was found
    """The package can't be made of what was asked for. The message is a sentence for its owner."""


class Artwork(NamedTuple):
    """An artwork that was looked up. `file` is the node above its chunks, None when it is but one chunk."""

    listed: PackagedArtwork
    file: Node | None


class Packages:
    def __init__(self, store: EventStore, objects: S3Store, files: Files) -> None:
        """`files` takes in the packages, so it has their limit of size."""
        self._store, self._objects, self._files = store, objects, files
        self._turns = asyncio.Semaphore(MAX_BUILDS)

    async def take_part(self, listed: PackagePartListed, context: Context) -> None:
        stream_id = attempt_stream(listed.package_id, listed.attempt)
        await self._store.handle(PACKAGE, stream_id, partial(package.decide, TakePart(listed)), context)

    async def build(self, request: PackageRequested, context: Context) -> None:
        """Builds and stores the package, or records why it can't be made.

        Raises Problem UNAVAILABLE while a server is away; the same call later builds the same package.
        """
        stream_id = attempt_stream(request.package_id, request.attempt)
        state = (await self._store.load(PACKAGE, stream_id)).state
        if state.outcome is not None:
            return
        outcome: PackageStored | PackageFailed
        try:
            async with self._turns:
                outcome = await self._store_package(request, state, context)
        except Unpackable as error:
            outcome = PackageFailed(request.package_id, request.attempt, str(error))
        except Problem as problem:
            if problem.code == "UNAVAILABLE":
                raise
            outcome = PackageFailed(request.package_id, request.attempt, problem.detail)
        await self._store.handle(PACKAGE, stream_id, partial(package.decide, EndPackage(outcome)), context)

    async def _store_package(self, request: PackageRequested, state: Package, context: Context) -> PackageStored:
        missing = state.missing(request)
        if missing:
            raise Unpackable(f"Part {missing[0]} of {request.parts} of what the package lists has not come")
        contents = state.contents(request)
        try:
            planned = await asyncio.to_thread(plan, contents)
        except NotACid as error:
            raise Unpackable(f"An artwork's CID is none: {error}") from error
        artworks = {path: await self._look_up(listed, request.user_id) for path, listed in planned.assets.items()}
        incoming = Incoming(
            user_id=request.user_id,
            name="package.car",
            path=package_path(request.user_id, request.package_id, request.attempt),
            mime_type=MEDIA_TYPE,
            collection_id=request.collection_id,
        )
        read: dict[str, str] = {}
        stored = await self._files.take_in(incoming, self._car(planned, artworks, read), context)
        event = stored.asset.stored
        return PackageStored(
            package_id=request.package_id,
            attempt=request.attempt,
            root=str(planned.root.cid),
            asset_id=event.asset_id,
            size=event.size,
            sha256=event.sha256,
            provenance=provenance(sha256_of(artwork.cid, read) for artwork in contents.artworks),
        )

    async def _look_up(self, listed: PackagedArtwork, user_id: UUID) -> Artwork:
        """The artwork as it is stored, which must be as it is listed; its chunks, where it has several."""
        asset = (await self._store.load(ASSET, asset_stream(listed.source))).state
        if asset is None or (asset.stored.asset_id, asset.stored.user_id) != (listed.asset_id, user_id):
            raise Unpackable(f"Asset {listed.asset_id}, of token {listed.token}, is not in storage")
        stored = asset.stored
        if (stored.size, stored.sha256) != (listed.size, listed.sha256) or stored.cid not in (None, listed.cid):
            raise Unpackable(
                f"Asset {listed.asset_id}, the artwork of token {listed.token}, is another file in storage"
            )
        if listed.size <= CHUNK:
            return Artwork(listed, None)
        importer = FileImporter()
        async with aclosing(self._content(listed)) as chunks:
            async for chunk in chunks:
                importer.update(chunk)
        root = importer.finish()
        assert isinstance(root, Node), "above several chunks there is a node"
        _refuse_other(listed, str(root.cid) == listed.cid)
        return Artwork(listed, root)

    async def _car(self, planned: Plan, artworks: dict[str, Artwork], read: dict[str, str]) -> Pieces:
        """The file's bytes; `read` gets the sha256 of each asset of several chunks by its CID, as its bytes are."""
        yield car.header(planned.root.cid)
        seen = set[Cid]()
        for step in steps(planned.root):
            if step.cid in seen:
                continue
            if step.block is not None:
                seen.add(step.cid)
                yield car.frame(step.cid, len(step.block)) + step.block
            elif step.path in artworks:
                async for piece in self._file(step, artworks[step.path], read, seen):
                    yield piece
            else:
                text = planned.texts[step.path]
                for piece in text_blocks(step, text, seen):
                    yield piece

    async def _file(self, step: Step, artwork: Artwork, read: dict[str, str], seen: set[Cid]) -> Pieces:
        """An artwork's blocks: its nodes before what is below them. A chunk that was written before is passed over."""
        way = iter(blocks_of(artwork.file, step.path) if artwork.file else [step])
        digest = hashlib.sha256()
        async with aclosing(self._chunks(artwork.listed)) as chunks:
            for each in way:
                block = each.block
                if block is None:
                    block = await anext(chunks, b"")
                    digest.update(block)
                    _refuse_other(artwork.listed, hashlib.sha256(block).digest() == each.cid.digest)
                if each.cid not in seen:
                    seen.add(each.cid)
                    yield car.frame(each.cid, len(block)) + block
        if artwork.file:
            read[artwork.listed.cid] = digest.hexdigest()
        _refuse_other(artwork.listed, digest.hexdigest() == artwork.listed.sha256)

    async def _chunks(self, listed: PackagedArtwork) -> Pieces:
        """A stored file in chunks of 1 MiB, the last one shorter."""
        gathered = bytearray()
        async with aclosing(self._content(listed)) as pieces:
            async for piece in pieces:
                gathered += piece
                while len(gathered) >= CHUNK:
                    yield bytes(gathered[:CHUNK])
                    del gathered[:CHUNK]
        if gathered:
            yield bytes(gathered)

    async def _content(self, listed: PackagedArtwork) -> Pieces:
        if listed.size == 0:
            return
        try:
            pieces = await self._objects.read(listed.source, 0, listed.size)
        except NoSuchFile as error:
            log.exception("a recorded file is not in the store", asset_id=listed.asset_id, path=listed.source)
            raise Unpackable(f"The bytes of asset {listed.asset_id} can't be found in the store") from error
        async for piece in pieces:
            yield piece


def text_blocks(step: Step, text: bytes, seen: set[Cid]) -> list[bytes]:
    """The blocks of a file that is at hand, without those that were written before."""
    leaves = [Leaf.of(text[at : at + CHUNK]) for at in range(0, max(1, len(text)), CHUNK)]
    root = balanced(leaves)
    way = blocks_of(root, step.path) if isinstance(root, Node) else [step]
    chunks = iter(text[at : at + CHUNK] for at in range(0, max(1, len(text)), CHUNK))
    pieces = []
    for each in way:
        block = next(chunks) if each.block is None else each.block
        if each.cid not in seen:
            seen.add(each.cid)
            pieces.append(car.frame(each.cid, len(block)) + block)
    return pieces


def sha256_of(cid: str, read: Mapping[str, str]) -> str:
    """An artwork's sha256: of one chunk, it is in its CID."""
    parsed = Cid.parse(cid)
    return parsed.digest.hex() if parsed.codec == RAW else read[cid]


def attempt_stream(package_id: UUID, attempt: int) -> UUID:
    """Each attempt has a stream of its own: what an earlier one listed is not its part."""
    return uuid5(package_id, str(attempt))


def _refuse_other(listed: PackagedArtwork, same: bool) -> None:  # noqa: FBT001 - reads as a sentence where it is called
    if not same:
        raise Unpackable(f"The bytes of asset {listed.asset_id} are not those that were stored once")


def package_consumers(packages: Packages) -> list[Consumer]:
    async def on_package(recorded: RecordedEvent) -> None:
        context = recorded.context.caused(recorded.event_id, PACKAGES)
        match recorded.event:
            case PackagePartListed() as listed:
                await packages.take_part(listed, context)
            case PackageRequested() as request:
                await packages.build(request, context)
            case _:
                raise AssertionError(f"{recorded.type} asks for no package")

    return [
        Consumer(name=PACKAGES, owner="collections", events=(PackagePartListed, PackageRequested), handle=on_package)
    ]
