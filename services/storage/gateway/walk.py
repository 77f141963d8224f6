"""Walks below a block depth-first: all of it, one file or directory, or a range of a file's bytes."""

from collections.abc import AsyncGenerator, AsyncIterator
from typing import NamedTuple

from services.storage.domain.ranges import ByteRange
from services.storage.gateway.dag import Dag
from services.storage.gateway.paths import Target
from shared.content.cid import RAW, Cid
from shared.content.nodes import FILE, HAMT, Block, decode

ENTRY = 2
"""Characters of a HAMT link's name before an entry's own; a link to a deeper block has no more."""


class Chunk(NamedTuple):
    """A part of a file: `length` bytes of a raw block, from byte `first` of it."""

    cid: Cid
    first: int
    length: int


async def file_size(dag: Dag, target: Target) -> int:
    """Bytes of a file."""
    return await dag.size(target.cid) if target.node is None else sum(target.node.sizes)


async def chunks(dag: Dag, target: Target, span: ByteRange) -> AsyncGenerator[Chunk, None]:
    """The parts of a file that have the bytes of a span which lies in the file, in order."""
    if target.node is None:
        yield Chunk(target.cid, span.first, span.last - span.first + 1)
        return
    parts = _parts(target.node, span)
    await dag.expect([cid for cid, _ in parts])
    for cid, part in parts:
        node = None if cid.codec == RAW else await dag.node(cid)
        async for chunk in chunks(dag, Target(cid, node, (), ()), part):
            yield chunk


def _parts(node: Block, span: ByteRange) -> list[tuple[Cid, ByteRange]]:
    """The children of a file's node that overlap a span, each with the overlap in bytes of its own."""
    parts, begin = [], 0
    for link, size in zip(node.links, node.sizes, strict=True):
        first, last = max(span.first - begin, 0), min(span.last - begin, size - 1)
        if first <= last:
            parts.append((link.cid, ByteRange(first, last)))
        begin += size
    return parts


async def everything(dag: Dag, cid: Cid, previous: set[Cid] | None) -> AsyncIterator[tuple[Cid, bytes]]:
    """All blocks from `cid` on. With `previous`, only those that are not in it, which are added to it."""
    if previous is not None:
        if cid in previous:
            return  # and so is all below it
        previous.add(cid)
    block = await dag.block(cid)
    yield cid, block
    if cid.codec == RAW:
        return
    links = decode(block).links
    await dag.expect([link.cid for link in links])
    for link in links:
        async for item in everything(dag, link.cid, previous):
            yield item


async def entity(
    dag: Dag, cid: Cid, span: ByteRange | None, previous: set[Cid] | None
) -> AsyncIterator[tuple[Cid, bytes]]:
    """The blocks of one file, or of its bytes in `span`; or those that list a directory's entries."""
    is_new = previous is None or cid not in previous
    if previous is not None:
        previous.add(cid)
    if cid.codec == RAW:
        if is_new:
            yield cid, await dag.block(cid)
        return
    block = await dag.block(cid)
    if is_new:
        yield cid, block
    node = decode(block)
    if node.kind == FILE:
        parts = _parts(node, span or ByteRange(0, sum(node.sizes)))
    elif node.kind == HAMT:
        parts = [(link.cid, ByteRange(0, 0)) for link in node.links if len(link.name) == ENTRY]
    else:
        parts = []
    await dag.expect([cid for cid, _ in parts])
    for child, part in parts:
        async for item in entity(dag, child, part if node.kind == FILE else None, previous):
            yield item
