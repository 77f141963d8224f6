"""The nodes of files and directories: dag-pb around UnixFS, both protobuf messages in their one canonical form.

Formats: https://ipld.io/specs/codecs/dag-pb/spec/ and https://specs.ipfs.tech/unixfs/. Links come before data, as the
dag-pb specification has it; UnixFS fields come in the order of their numbers.
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
"""Tags: a field's number and whether it is a number or bytes; of a node, of a link, of UnixFS."""


class NotANode(ValueError):  # noqa: N818 - what was found
    """Not a node of a file or directory in canonical form. Its message says what is wrong."""


class Link(NamedTuple):
    """`size` is that of all blocks below, each counted as often as it is linked to."""

    cid: Cid
    name: str
    size: int


class Block(NamedTuple):
    """What a node's bytes say. `sizes`: the bytes of content below each link of a file; `bits`: a HAMT's bitfield."""

    kind: int
    links: tuple[Link, ...]
    sizes: tuple[int, ...] = ()
    bits: bytes = b""


class Node(NamedTuple):
    """A node and what hangs below it. A child is a node where we have its bytes, else None: a file's leaf, a file."""

    cid: Cid
    block: bytes
    content: Block
    children: tuple["Node | None", ...]
    size: int
    """Of the node's own block and all below it."""


def node(content: Block, children: Sequence[Node | None]) -> Node:
    block = encode(content)
    return Node(
        Cid.of(DAG_PB, block), block, content, tuple(children), len(block) + sum(link.size for link in content.links)
    )


def encode(content: Block) -> bytes:
    links = b"".join(_LINK + _counted(_link(each)) for each in content.links)
    return links + _DATA + _counted(_unixfs(content))


def link_length(name: str, size: int) -> int:
    """Bytes that a link takes in its node."""
    return 1 + len(_counted(_link(Link(Cid(DAG_PB, bytes(32)), name, size))))


def _link(link: Link) -> bytes:
    name = link.name.encode()
    return _HASH + _counted(link.cid.encoded) + _NAME + _counted(name) + _TSIZE + varint.encode(link.size)


def _unixfs(content: Block) -> bytes:
    encoded = _KIND + varint.encode(content.kind)
    if content.kind == HAMT:
        shape = _HASH_TYPE + varint.encode(MURMUR3) + _FANOUT + varint.encode(FANOUT)
        return encoded + _BITS + _counted(content.bits) + shape
    if content.kind == FILE:
        encoded += _FILE_SIZE + varint.encode(sum(content.sizes))
        encoded += b"".join(_SIZE + varint.encode(size) for size in content.sizes)
    return encoded


def _counted(data: bytes) -> bytes:
    return varint.encode(len(data)) + data


def decode(block: bytes) -> Block:
    """What a node's bytes say. Raises NotANode, also when `encode` would have written it otherwise."""
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
        raise NotANode("a node is not in its canonical form")
    return content


def _field(data: bytes, offset: int) -> tuple[bytes, int]:
    length, offset = varint.decode(data, offset)
    if offset + length > len(data):
        raise NotANode("a field is cut off")
    return data[offset : offset + length], offset + length


def _read_link(data: bytes) -> Link:
    if data[:1] != _HASH:
        raise NotANode("a link begins with its hash")
    cid, offset = _field(data, 1)
    if data[offset : offset + 1] != _NAME:
        raise NotANode("a link has a name")
    name, offset = _field(data, offset + 1)
    if data[offset : offset + 1] != _TSIZE:
        raise NotANode("a link has a size")
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
        raise NotANode(f"{kind} is no type of a file's or directory's node")
    sizes = tuple(numbers.get(_SIZE, ()))
    if kind == FILE and len(sizes) != len(links):
        raise NotANode("a file's node says the size of each of its links")
    return Block(kind, links, sizes, bits)
