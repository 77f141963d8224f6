"""Finds the blocks of a CAR file, version 1, in its bytes as they arrive in pieces of any size."""

from collections.abc import Iterator
from typing import NamedTuple

from shared.content import car, varint
from shared.content.cid import LENGTH, Cid

_MAX_HEAD = varint.MAX_BYTES + LENGTH
"""Bytes before a block: its length, and its CID."""


class Frame(NamedTuple):
    """A block of a CAR file: its `length` bytes begin at `place`."""

    cid: Cid
    place: int
    length: int


class CarFrames:
    """Memory holds the bytes before one block at most. The blocks' own bytes are not looked at."""

    def __init__(self) -> None:
        self._head = b""
        self._offset, self._rest = 0, car.HEADER_LENGTH

    def update(self, data: bytes) -> Iterator[Frame]:
        """The frames whose beginning is complete with the file's next bytes. Raises BadVarint, NotACid."""
        at = 0
        while at < len(data):
            if self._rest:
                step = min(self._rest, len(data) - at)
                self._rest -= step
                self._offset += step
                at += step
                continue
            head = self._head + data[at : at + _MAX_HEAD - len(self._head)]
            consumed = _length_of(head)
            if consumed is None:
                self._head = head
                return
            at += consumed - len(self._head)
            self._head = b""
            self._offset += consumed
            size, begin = varint.decode(head)
            self._rest = size - LENGTH
            yield Frame(Cid.read(head, begin), self._offset, self._rest)


def _length_of(head: bytes) -> int | None:
    """The bytes of a block's length and CID; None if `head` ends before them. Raises BadVarint."""
    if all(byte & 0x80 for byte in head[: varint.MAX_BYTES]) and len(head) < varint.MAX_BYTES:
        return None
    _, begin = varint.decode(head)
    return begin + LENGTH if len(head) >= begin + LENGTH else None
