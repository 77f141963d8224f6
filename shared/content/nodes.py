"""The nodes of files and directories: UnixFS within dag-pb, both protobuf messages in canonical form.

Formats: https://ipld.io/specs/codecs/dag-pb/spec/ and https://specs.ipfs.tech/unixfs/. Links come before data, as the
dag-pb specification requires; UnixFS fields come in the order of their numbers. Written by hand, since no maintained
Python library writes UnixFS, and protobuf's own does not promise canonical bytes.
"""

from collections.abc import Sequence
from typing import NamedTuple

from shared.content import varint
from shared.content.cid import DAG_PB, Cid, NotACid

DIRECTORY, FILE, HAMT = 1, 2, 5
"""UnixFS types of nodes."""
MURMUR3 = 0x22
FANOUT = 256

_LINK, _DATA = b"\x12", b"\x0a"
_HASH, _NAME, _TSIZE = b"\x0a", b"\x12", b"\x18"
_KIND, _BITS, _FILE_SIZE, _SIZE, _HASH_TYPE, _FANOUT = b"\x08", b"\x12", b"\x18", b"\x20", b"\x28", b"\x30"
"""Protobuf tags (field number and wire type) of the fields of a node, of a link, and of UnixFS."""


class NotANode(ValueError):  # noqa: N818 - named for what the data is not
    """Not a node of a file or directory in canonical form; the message says why."""


class Link(NamedTuple):
    """`size`: bytes of all blocks below, each counted as often as it is linked to."""

    cid: Cid
    name: str
    size: int


class Block(NamedTuple):
    """A decoded node. `sizes`: the bytes of content below each link of a file; `bits`: a HAMT's bitfield."""

    kind: int
    links: tuple[Link, ...]
    sizes: tuple[int, ...] = ()
    bits: bytes = b""


class Node(NamedTuple):
    """A node and its children, in the order of its links. A child that is a leaf or a file is None."""

    cid: Cid
    block: bytes
    content: Block
    children: tuple["Node | None", ...]
    size: int
    """Bytes of the node's own block and all below it."""


def node(content: Block, children: Sequence[Node | None]) -> Node:
    """The node with this content; `children` are in the order of its links."""
    block = encode(content)
    return Node(
        Cid.of(DAG_PB, block), block, content, tuple(children), len(block) + sum(link.size for link in content.links)
    )


def encode(content: Block) -> bytes:
    """The node's bytes in canonical form."""
    links = b"".join(_LINK + _with_length(_link(link)) for link in content.links)
    return links + _DATA + _with_length(_unixfs(content))


def link_length(name: str, size: int) -> int:
    """Bytes that a link takes in its node."""
    return 1 + len(_with_length(_link(Link(Cid(DAG_PB, bytes(32)), name, size))))


def _link(link: Link) -> bytes:
    name = link.name.encode()
    return _HASH + _with_length(link.cid.encoded) + _NAME + _with_length(name) + _TSIZE + varint.encode(link.size)


def _unixfs(content: Block) -> bytes:
    encoded = _KIND + varint.encode(content.kind)
    if content.kind == HAMT:
        shape = _HASH_TYPE + varint.encode(MURMUR3) + _FANOUT + varint.encode(FANOUT)
        return encoded + _BITS + _with_length(content.bits) + shape
    if content.kind == FILE:
        encoded += _FILE_SIZE + varint.encode(sum(content.sizes))
        encoded += b"".join(_SIZE + varint.encode(size) for size in content.sizes)
    return encoded


def _with_length(data: bytes) -> bytes:
    return varint.encode(len(data)) + data


def decode(block: bytes) -> Block:
    """The decoded node. Raises NotANode, also if `encode` of the result gives other bytes."""
    try:
        links: list[Link] = []
        data, offset = b"", 0
        while offset < len(block):
            tag = block[offset : offset + 1]
            field, offset = _field(block, offset + 1)
            if tag == _LINK:
                links.append(_read_link(field))
            elif tag == _DATA:
                data = field
            else:
                raise NotANode(f"a node has no field {tag.hex()}")
        content = _read_unixfs(data, tuple(links))
    except (varint.BadVarint, NotACid, UnicodeDecodeError) as error:
        raise NotANode(str(error)) from error
    if encode(content) != block:
        raise NotANode("a node is not in canonical form")
    return content


def _field(data: bytes, offset: int) -> tuple[bytes, int]:
    length, offset = varint.decode(data, offset)
    if offset + length > len(data):
        raise NotANode("a field is truncated")
    return data[offset : offset + length], offset + length


def _read_link(data: bytes) -> Link:
    if data[:1] != _HASH:
        raise NotANode("a link does not begin with its hash")
    cid, offset = _field(data, 1)
    if data[offset : offset + 1] != _NAME:
        raise NotANode("a link has no name after its hash")
    name, offset = _field(data, offset + 1)
    if data[offset : offset + 1] != _TSIZE:
        raise NotANode("a link has no size after its name")
    size, _ = varint.decode(data, offset + 1)
    return Link(Cid.read(cid), name.decode(), size)


def _read_unixfs(data: bytes, links: tuple[Link, ...]) -> Block:
    numbers: dict[bytes, list[int]] = {}
    bits, offset = b"", 0
    while offset < len(data):
        tag, offset = data[offset : offset + 1], offset + 1
        if tag == _BITS:
            bits, offset = _field(data, offset)
        else:
            number, offset = varint.decode(data, offset)
            numbers.setdefault(tag, []).append(number)
    kind = numbers.get(_KIND, [0])[0]
    if kind not in (DIRECTORY, FILE, HAMT):
        raise NotANode(f"{kind} is not the UnixFS type of a file or directory")
    sizes = tuple(numbers.get(_SIZE, ()))
    if kind == FILE and len(sizes) != len(links):
        raise NotANode(f"a file's node has {len(sizes)} sizes for {len(links)} links")
    return Block(kind, links, sizes, bits)
