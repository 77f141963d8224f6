"""Builds publish packages: one CAR file of a job's artworks and documents, written to the file store.

Artworks stream from the store and back; memory holds one chunk, and 36 bytes per chunk of an artwork with several.
Building is deterministic: the same request gives the same bytes.
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
from shared.messaging import Consumer
from shared.telemetry import get_logger

PACKAGE: Decider[Package] = Decider(name="package", initial=package.NOTHING, evolve=package.evolve, state_type=Package)
PACKAGES = "storage-packages-v1"
MEDIA_TYPE = "application/vnd.ipld.car"
MAX_BUILDS = 2
"""Concurrent builds per process."""
PIECE_SECONDS = 300.0
"""Longest wait for the next bytes of an artwork, in seconds."""

Pieces = AsyncGenerator[bytes, None]

log = get_logger("storage")


class Unpackable(Exception):  # noqa: N818 - names the condition
    """The requested package can't be built. The message is the reason that its owner reads."""


class Artwork(NamedTuple):
    """An artwork that is in storage. `file` is the root node above its chunks, None if it has only one chunk."""

    listed: PackagedArtwork
    file: Node | None


class Packages:
    def __init__(self, store: EventStore, objects: S3Store, files: Files) -> None:
        """`files` stores the packages, with their size limit."""
        self._store, self._objects, self._files = store, objects, files
        self._turns = asyncio.Semaphore(MAX_BUILDS)

    async def take_part(self, listed: PackagePartListed, context: Context) -> None:
        stream_id = attempt_stream(listed.package_id, listed.attempt)
        await self._store.handle(PACKAGE, stream_id, partial(package.decide, TakePart(listed)), context)

    async def build(self, request: PackageRequested, context: Context) -> None:
        """Builds and stores the package, or records why it can't be built. Idempotent.

        Raises UNAVAILABLE while PostgreSQL or the file store can't be reached.
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
            raise Unpackable(f"Part {missing[0]} of the package's {request.parts} lists has not arrived")
        contents = state.contents(request)
        try:
            planned = await asyncio.to_thread(plan, contents)
        except NotACid as error:
            raise Unpackable(f"An artwork's CID is not valid: {error}") from error
        artworks = {path: await self._look_up(listed, request.user_id) for path, listed in planned.assets.items()}
        incoming = Incoming(
            user_id=request.user_id,
            name="package.car",
            path=package_path(request.user_id, request.package_id, request.attempt),
            mime_type=MEDIA_TYPE,
            collection_id=request.collection_id,
        )
        sha256s: dict[str, str] = {}
        stored = await self._files.take_in(incoming, self._car(planned, artworks, sha256s), context)
        event = stored.asset.stored
        return PackageStored(
            package_id=request.package_id,
            attempt=request.attempt,
            root=str(planned.root.cid),
            asset_id=event.asset_id,
            size=event.size,
            sha256=event.sha256,
            provenance=provenance(sha256_of(artwork.cid, sha256s) for artwork in contents.artworks),
        )

    async def _look_up(self, listed: PackagedArtwork, user_id: UUID) -> Artwork:
        """The stored artwork. Raises Unpackable unless its size, sha256 and CID are as listed."""
        asset = (await self._store.load(ASSET, asset_stream(listed.source))).state
        if asset is None or (asset.stored.asset_id, asset.stored.user_id) != (listed.asset_id, user_id):
            raise Unpackable(f"Asset {listed.asset_id}, of token {listed.token}, is not in storage")
        stored = asset.stored
        if (stored.size, stored.sha256) != (listed.size, listed.sha256) or stored.cid not in (None, listed.cid):
            raise Unpackable(
                f"Asset {listed.asset_id}, the artwork of token {listed.token}, differs from the file in storage"
            )
        if listed.size <= CHUNK:
            return Artwork(listed, None)
        importer = FileImporter()
        async with aclosing(self._content(listed)) as chunks:
            async for chunk in chunks:
                importer.update(chunk)
        root = importer.finish()
        assert isinstance(root, Node), "several chunks have a root node"
        _refuse_other(listed, str(root.cid) == listed.cid)
        return Artwork(listed, root)

    async def _car(self, planned: Plan, artworks: dict[str, Artwork], sha256s: dict[str, str]) -> Pieces:
        """The CAR file. Adds to `sha256s`, by CID, the sha256 of each artwork that has several chunks."""
        yield car.header(planned.root.cid)
        seen = set[Cid]()
        for step in steps(planned.root):
            if step.cid in seen:
                continue
            if step.block is not None:
                seen.add(step.cid)
                yield car.frame(step.cid, len(step.block)) + step.block
            elif step.path in artworks:
                async for piece in self._file(step, artworks[step.path], sha256s, seen):
                    yield piece
            else:
                text = planned.texts[step.path]
                for piece in text_blocks(step, text, seen):
                    yield piece

    async def _file(self, step: Step, artwork: Artwork, sha256s: dict[str, str], seen: set[Cid]) -> Pieces:
        """An artwork's blocks, each node before its children; a block that was written before is skipped."""
        steps_of_file = iter(blocks_of(artwork.file, step.path) if artwork.file else [step])
        digest = hashlib.sha256()
        async with aclosing(self._chunks(artwork.listed)) as chunks:
            for block_step in steps_of_file:
                block = block_step.block
                if block is None:
                    block = await anext(chunks, b"")
                    digest.update(block)
                    _refuse_other(artwork.listed, hashlib.sha256(block).digest() == block_step.cid.digest)
                if block_step.cid not in seen:
                    seen.add(block_step.cid)
                    yield car.frame(block_step.cid, len(block)) + block
        if artwork.file:
            sha256s[artwork.listed.cid] = digest.hexdigest()
        _refuse_other(artwork.listed, digest.hexdigest() == artwork.listed.sha256)

    async def _chunks(self, listed: PackagedArtwork) -> Pieces:
        """A stored file in chunks of 1 MiB, the last one shorter."""
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


def text_blocks(step: Step, text: bytes, seen: set[Cid]) -> list[bytes]:
    """The CAR frames of a file in memory, without blocks that were written before."""
    leaves = [Leaf.of(text[at : at + CHUNK]) for at in range(0, max(1, len(text)), CHUNK)]
    root = balanced(leaves)
    steps_of_file = blocks_of(root, step.path) if isinstance(root, Node) else [step]
    chunks = iter(text[at : at + CHUNK] for at in range(0, max(1, len(text)), CHUNK))
    pieces = []
    for block_step in steps_of_file:
        block = next(chunks) if block_step.block is None else block_step.block
        if block_step.cid not in seen:
            seen.add(block_step.cid)
            pieces.append(car.frame(block_step.cid, len(block)) + block)
    return pieces


def sha256_of(cid: str, sha256s: Mapping[str, str]) -> str:
    """An artwork's sha256: from its CID if it has one chunk, else from `sha256s`."""
    parsed = Cid.parse(cid)
    return parsed.digest.hex() if parsed.codec == RAW else sha256s[cid]


def attempt_stream(package_id: UUID, attempt: int) -> UUID:
    """The stream of one attempt; each has its own, so parts of an earlier attempt never count."""
    return uuid5(package_id, str(attempt))


def _refuse_other(listed: PackagedArtwork, same: bool) -> None:  # noqa: FBT001 - private, and clear at its call sites
    if not same:
        raise Unpackable(f"The bytes of asset {listed.asset_id} do not match the digest recorded for them")


def package_consumers(packages: Packages) -> list[Consumer]:
    async def on_package(recorded: RecordedEvent) -> None:
        context = recorded.context.caused(recorded.event_id, PACKAGES)
        match recorded.event:
            case PackagePartListed() as listed:
                await packages.take_part(listed, context)
            case PackageRequested() as request:
                await packages.build(request, context)
            case _:
                raise AssertionError(f"{recorded.type} is not an event of a package request")

    return [
        Consumer(name=PACKAGES, owner="collections", events=(PackagePartListed, PackageRequested), handle=on_package)
    ]
