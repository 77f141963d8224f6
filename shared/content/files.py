"""Files as balanced DAGs: raw leaves of 1 MiB, at most 1024 links a node."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from shared.content.cid import RAW, Cid
from shared.content.nodes import FILE, Block, Link, Node, node

CHUNK = 1024 * 1024
WIDTH = 1024


class Leaf(NamedTuple):
    """A chunk of a file, as a raw block."""

    cid: Cid
    size: int

    @classmethod
    def of(cls, content: bytes) -> "Leaf":
        """The leaf of a chunk's bytes, at most CHUNK of them."""
        return cls(Cid.of(RAW, content), len(content))


class FileImporter:
    """Computes a file's DAG from its bytes as they arrive. Memory holds a CID and a size per leaf of 1 MiB."""

    def __init__(self) -> None:
        self.leaves: list[Leaf] = []
        self._digest, self._length = hashlib.sha256(), 0

    def update(self, data: bytes) -> None:
        """Adds the file's next bytes, any number of them."""
        view = memoryview(data)
        while view:
            part = view[: CHUNK - self._length]
            self._digest.update(part)
            self._length += len(part)
            if self._length == CHUNK:
                self._end_leaf()
            view = view[len(part) :]

    def finish(self) -> "Node | Leaf":
        """The file's root: its leaf if it has only one, else the top node. Call it once, after the last `update`."""
        if self._length or not self.leaves:
            self._end_leaf()
        return balanced(self.leaves)

    def _end_leaf(self) -> None:
        self.leaves.append(Leaf(Cid(RAW, self._digest.digest()), self._length))
        self._digest, self._length = hashlib.sha256(), 0


def balanced(leaves: Sequence[Leaf]) -> Node | Leaf:
    """The root of the DAG over a file's leaves, at least one: an empty file has one empty leaf."""
    assert leaves, "an empty file has one empty leaf"
    if len(leaves) == 1:
        return leaves[0]
    level: list[tuple[Leaf | Node, int]] = [(leaf, leaf.size) for leaf in leaves]
    while len(level) > 1:
        level = [_above(level[at : at + WIDTH]) for at in range(0, len(level), WIDTH)]
    root = level[0][0]
    assert isinstance(root, Node), "above several leaves there is a node"
    return root


def _above(level: Sequence[tuple[Leaf | Node, int]]) -> tuple[Node, int]:
    """The node above these children, each with its bytes of content; and the sum of these bytes."""
    links = tuple(Link(child.cid, "", child.size) for child, _ in level)
    sizes = tuple(size for _, size in level)
    children = [child if isinstance(child, Node) else None for child, _ in level]
    return node(Block(FILE, links, sizes), children), sum(sizes)


@lru_cache(maxsize=4096)
def dag_size(size: int) -> int:
    """Bytes of all blocks of a file of `size` bytes, as links to it state them; the content does not matter."""
    if size <= CHUNK:
        return size
    full, rest = divmod(size, CHUNK)
    any_cid = Cid(RAW, bytes(32))
    return balanced([Leaf(any_cid, CHUNK)] * full + ([Leaf(any_cid, rest)] if rest else [])).size


def cid_of(content: bytes) -> Cid:
    """The CID of a small file's content."""
    importer = FileImporter()
    importer.update(content)
    return importer.finish().cid
