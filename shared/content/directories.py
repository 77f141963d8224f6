"""Directories: one block of up to 256 KiB, else a HAMT of blocks with up to 256 links each.

The HAMT is that of https://specs.ipfs.tech/unixfs/#dag-pb-hamtdirectory: each level uses one byte of the name's hash; a
link's name is that byte in two hex digits, followed by the entry's name unless the link leads to a deeper block.
"""

from collections.abc import Sequence
from typing import NamedTuple

import mmh3

from shared.content.cid import Cid
from shared.content.nodes import DIRECTORY, FANOUT, HAMT, Block, Link, Node, link_length, node

BLOCK_LIMIT = 256 * 1024
_EMPTY = 4
"""Bytes of an empty directory's block."""


class Entry(NamedTuple):
    """An entry of a directory. `size`: bytes of all its blocks. `node`: a directory's node; None for a file."""

    name: str
    cid: Cid
    size: int
    node: Node | None = None


class _Hashed(NamedTuple):
    entry: Entry
    digest: bytes


def directory(entries: Sequence[Entry]) -> Node:
    """The directory of these entries, whose order does not matter; its children are in the order of its links."""
    assert len({entry.name for entry in entries}) == len(entries), "names in a directory are unique"
    size = _EMPTY + sum(link_length(entry.name, entry.size) for entry in entries)
    if size <= BLOCK_LIMIT:
        ordered = sorted(entries, key=lambda entry: entry.name.encode())
        links = tuple(Link(entry.cid, entry.name, entry.size) for entry in ordered)
        return node(Block(DIRECTORY, links), [entry.node for entry in ordered])
    return _shard([_Hashed(entry, hash_of(entry.name)) for entry in entries], 0)


def hash_of(name: str) -> bytes:
    """The first 64 bits of MurmurHash3 x64 128 of a name, big-endian, with seed 0."""
    return mmh3.hash64(name.encode(), signed=False)[0].to_bytes(8, "big")


def _shard(entries: Sequence[_Hashed], level: int) -> Node:
    assert level < 8, "two names of a directory have the same hash of eight bytes"
    slots: dict[int, list[_Hashed]] = {}
    for hashed in entries:
        slots.setdefault(hashed.digest[level], []).append(hashed)
    links, children = [], []
    for slot, members in sorted(slots.items()):
        prefix = f"{slot:02X}"
        if len(members) == 1:
            entry = members[0].entry
            links.append(Link(entry.cid, prefix + entry.name, entry.size))
            children.append(entry.node)
        else:
            deeper = _shard(members, level + 1)
            links.append(Link(deeper.cid, prefix, deeper.size))
            children.append(deeper)
    bits = sum(1 << slot for slot in slots)
    return node(Block(HAMT, tuple(links), bits=bits.to_bytes((bits.bit_length() + 7) // 8, "big")), children)


assert FANOUT == 256, "one byte of a name's hash chooses the slot"
