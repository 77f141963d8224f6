"""Range requests (RFC 9110, section 14): the bytes of a file that a client requests."""

import re
from typing import NamedTuple

BYTES = re.compile(r"bytes\s*=\s*(?P<first>\d{0,18})\s*-\s*(?P<last>\d{0,18})\s*", re.IGNORECASE)


class ByteRange(NamedTuple):
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class Unsatisfiable(Exception):  # noqa: N818 - the word of the RFC
    """The range starts beyond the end of the file: answer 416."""


def parse_range(header: str | None, size: int) -> ByteRange | None:
    """The requested range, clipped to the file; None for the whole file. Raises Unsatisfiable.

    Anything but one byte range (another unit, several ranges, invalid syntax) is ignored, as section 14.2 allows.
    """
    match = BYTES.fullmatch(header) if header is not None else None
    if match is None or match["first"] == match["last"] == "":
        return None
    if match["first"] == "":
        suffix_length = int(match["last"])
        if suffix_length == 0 or size == 0:
            raise Unsatisfiable
        return ByteRange(max(0, size - suffix_length), size - 1)
    first = int(match["first"])
    if match["last"] and int(match["last"]) < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return ByteRange(first, min(int(match["last"]), size - 1) if match["last"] else size - 1)
