"""A package as one CAR file, streamed: artworks come from the file store, texts from memory.

CAR order puts index nodes first, so an artwork of several chunks is read twice; none is held in memory.
"""

import hashlib
from collections.abc import Mapping
from contextlib import aclosing

from services.storage.packaging.artworks import Artwork, Artworks, Pieces, bytes_differ
from services.storage.packaging.meter import Meter
from shared.content import car
from shared.content.cid import RAW, Cid
from shared.content.files import CHUNK, Leaf, balanced
from shared.content.nodes import Node
from shared.content.package import Plan
from shared.content.tree import Step, blocks_of, steps


async def car_file(
    planned: Plan, artworks: Mapping[str, Artwork], source: Artworks, sha256s: dict[str, str], meter: Meter
) -> Pieces:
    """The CAR file of `planned`; `artworks` by path, read from `source`. Blocks are written once.

    Adds to `sha256s`, by CID, the sha256 of each artwork that has several chunks. Counts files, and bytes of them, also
    those that are written already. Raises Unpackable if an artwork's bytes differ from their digest; Stopped.
    """
    yield car.header(planned.root.cid)
    cids = set[Cid]()
    for step in steps(planned.root):
        if step.block is not None:
            if step.cid not in cids:
                cids.add(step.cid)
                yield car.frame(step.cid, len(step.block)) + step.block
            continue
        if step.cid in cids:
            await meter.pass_bytes(_size(step, planned, artworks))
        elif step.path in artworks:
            async for piece in _artwork_blocks(step, artworks[step.path], source, sha256s, cids, meter):
                yield piece
        else:
            for piece in text_blocks(step, planned.texts[step.path], cids):
                yield piece
            await meter.pass_bytes(_size(step, planned, artworks))
        meter.end_file()


def _size(step: Step, planned: Plan, artworks: Mapping[str, Artwork]) -> int:
    return artworks[step.path].listed.size if step.path in artworks else len(planned.texts[step.path])


async def _artwork_blocks(
    step: Step, artwork: Artwork, source: Artworks, sha256s: dict[str, str], cids: set[Cid], meter: Meter
) -> Pieces:
    """The CAR frames of an artwork, each node before its children, without blocks that were written before."""
    steps_of_file = iter(blocks_of(artwork.file, step.path) if artwork.file else [step])
    digest = hashlib.sha256()
    async with aclosing(source.chunks(artwork.listed)) as chunks:
        for block_step in steps_of_file:
            block = block_step.block
            if block is None:
                block = await anext(chunks, b"")
                digest.update(block)
                await meter.pass_bytes(len(block))
                if hashlib.sha256(block).digest() != block_step.cid.digest:
                    raise bytes_differ(artwork.listed)
            if block_step.cid not in cids:
                cids.add(block_step.cid)
                yield car.frame(block_step.cid, len(block)) + block
    if artwork.file:
        sha256s[artwork.listed.cid] = digest.hexdigest()
    if digest.hexdigest() != artwork.listed.sha256:
        raise bytes_differ(artwork.listed)


def text_blocks(step: Step, text: bytes, cids: set[Cid]) -> list[bytes]:
    """The CAR frames of a file in memory, without blocks that were written before."""
    chunks = [text[at : at + CHUNK] for at in range(0, max(1, len(text)), CHUNK)]
    root = balanced([Leaf.of(chunk) for chunk in chunks])
    remaining = iter(chunks)
    frames = []
    for block_step in blocks_of(root, step.path) if isinstance(root, Node) else [step]:
        block = next(remaining) if block_step.block is None else block_step.block
        if block_step.cid not in cids:
            cids.add(block_step.cid)
            frames.append(car.frame(block_step.cid, len(block)) + block)
    return frames


def sha256_of(cid: str, sha256s: Mapping[str, str]) -> str:
    """An artwork's sha256: from its CID if it has one chunk, else from `sha256s`."""
    parsed = Cid.parse(cid)
    return parsed.digest.hex() if parsed.codec == RAW else sha256s[cid]
