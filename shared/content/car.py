"""CAR files, version 1 (https://ipld.io/specs/transport/car/carv1/): a header that names the root, then blocks."""

from shared.content import varint
from shared.content.cid import LENGTH, Cid

_BEFORE_ROOT = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00"
"""dag-cbor: a map of two entries; "roots" is a list of one link: tag 42, 37 bytes, a zero byte and then the CID."""
_AFTER_ROOT = b"\x67version\x01"
ROOT_OFFSET = 1 + len(_BEFORE_ROOT)
HEADER_LENGTH = 1 + len(_BEFORE_ROOT) + LENGTH + len(_AFTER_ROOT)


class NotACar(ValueError):  # noqa: N818 - named for what the data is not
    """The data is not a CAR file of version 1 with one root; the message says why."""


def header(root: Cid) -> bytes:
    """The file's first bytes, always `HEADER_LENGTH` of them."""
    content = _BEFORE_ROOT + root.encoded + _AFTER_ROOT
    return varint.encode(len(content)) + content


def root_of(data: bytes) -> Cid:
    """The root in a file's first `HEADER_LENGTH` bytes. Raises NotACar, NotACid."""
    if len(data) < HEADER_LENGTH and header(Cid(0x70, bytes(32))).startswith(data[: 1 + len(_BEFORE_ROOT)]):
        raise NotACar("the file ends within its header")
    if data[1 : 1 + len(_BEFORE_ROOT)] != _BEFORE_ROOT:
        raise NotACar("the file does not begin with the header of a CAR file, version 1, with one root")
    root = Cid.read(data, 1 + len(_BEFORE_ROOT))
    if header(root) != data:
        raise NotACar("the header is not in canonical form")
    return root


def frame(cid: Cid, length: int) -> bytes:
    """The bytes before a block of `length` bytes: the length of CID and block together, then the CID."""
    return varint.encode(LENGTH + length) + cid.encoded
