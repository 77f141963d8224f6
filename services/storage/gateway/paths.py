"""Resolves a path within a package: which blocks lead to what it names."""

from collections.abc import Sequence
from typing import NamedTuple

from services.storage.gateway.dag import Dag
from shared.content.cid import RAW, Cid
from shared.content.directories import hash_of
from shared.content.nodes import FILE, HAMT, Block
from shared.contracts.problem import not_found


class Target(NamedTuple):
    """What a path names: `node` is None for a file of one raw block."""

    cid: Cid
    node: Block | None
    above: tuple[Cid, ...]
    """The blocks that were read on the way, without its own."""
    roots: tuple[Cid, ...]
    """The CID of the path's root, and that of each of its segments."""


async def resolve(dag: Dag, root: Cid, segments: Sequence[str]) -> Target:
    """Raises NOT_FOUND for a segment that names nothing."""
    cid, above, roots = root, [], [root]
    node = await _node(dag, cid)
    for segment in segments:
        entry, blocks = await _entry(dag, cid, node, segment)
        above += blocks
        cid = entry
        roots.append(cid)
        node = await _node(dag, cid)
    return Target(cid, node, tuple(above), tuple(roots))


async def _node(dag: Dag, cid: Cid) -> Block | None:
    return None if cid.codec == RAW else await dag.node(cid)


async def _entry(dag: Dag, cid: Cid, node: Block | None, name: str) -> tuple[Cid, list[Cid]]:
    """The CID of a directory's entry, and the blocks of the directory that lead to it."""
    blocks, level = [cid], 0
    while node is not None and node.kind == HAMT:
        prefix = f"{hash_of(name)[level]:02X}"
        links = {link.name: link.cid for link in node.links}
        if (entry := links.get(prefix + name)) is not None and name:
            return entry, blocks
        if (deeper := links.get(prefix)) is None:
            raise not_found(f"The entry {name[:80]!r} of directory {blocks[0]}")
        blocks.append(deeper)
        node, level = await dag.node(deeper), level + 1
    if node is None or node.kind == FILE:
        raise not_found(f"The entry {name[:80]!r} of {cid}, which is a file,")
    entry = next((link.cid for link in node.links if link.name == name), None)
    if entry is None:
        raise not_found(f"The entry {name[:80]!r} of directory {cid}")
    return entry, blocks
