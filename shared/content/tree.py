"""A folder of files as one DAG, and the order of its blocks in a CAR file.

The order is depth-first from the root, with each block once, at its first occurrence (`order=dfs;dups=n` in IPIP-0412).
So a reader knows each block's CID and path before it reads the block.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shared.content.cid import Cid
from shared.content.directories import Entry, directory
from shared.content.files import dag_size
from shared.content.nodes import HAMT, Node


class File(NamedTuple):
    """A file in a folder: `size` is that of its content, in bytes."""

    cid: Cid
    size: int


class Step(NamedTuple):
    """A step of a walk through a folder: a directory's block, or a file (`block` is None).

    `path` is empty for the root, and ends with a slash for other directories.
    """

    path: str
    cid: Cid
    block: bytes | None


def folder(files: Mapping[str, File]) -> Node:
    """The root of a folder with these files. Paths are relative; their directories are created."""
    tree: dict[str, Any] = {}
    for path, file in files.items():
        *parents, name = path.split("/")
        inside = tree
        for parent in parents:
            inside = inside.setdefault(parent, {})
            assert isinstance(inside, dict), f"{path} lies in a file"
        assert name not in inside, f"{path} occurs twice"
        inside[name] = file
    return _directory(tree)


def _directory(tree: Mapping[str, Any]) -> Node:
    entries = []
    for name, inside in tree.items():
        if isinstance(inside, File):
            entries.append(Entry(name, inside.cid, dag_size(inside.size)))
        else:
            node = _directory(inside)
            entries.append(Entry(name, node.cid, node.size, node))
    return directory(entries)


def steps(root: Node, path: str = "") -> Iterator[Step]:
    """Walks a folder depth-first. A file or directory with several paths comes once for each of them."""
    yield Step(path, root.cid, root.block)
    sharded = root.content.kind == HAMT
    for link, child in zip(root.content.links, root.children, strict=True):
        name = link.name[2:] if sharded else link.name
        if child is None:
            yield Step(path + name, link.cid, None)
        else:
            yield from steps(child, f"{path}{name}/" if name else path)


def blocks_of(file: Node, path: str) -> Iterator[Step]:
    """Walks a file of several chunks: its nodes with their blocks, and its chunks with None."""
    yield Step(path, file.cid, file.block)
    for link, child in zip(file.content.links, file.children, strict=True):
        if child is None:
            yield Step(path, link.cid, None)
        else:
            yield from blocks_of(child, path)
