"""Range requests (RFC 9110, section 14): the bytes of a file that a client requests."""

import re
from typing import NamedTuple

MAX_RANGES = 16
"""Ranges of one request; with more, it is answered with the whole file."""
_UNIT = re.compile(r"\s*bytes\s*=", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?P<first>\d{0,18})\s*-\s*(?P<last>\d{0,18})\s*", re.ASCII)


class ByteRange(NamedTuple):
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class Unsatisfiable(Exception):  # noqa: N818 - the word of the RFC
    """No range has a byte of the file: answer 416."""


def parse_ranges(header: str | None, size: int) -> list[ByteRange]:
    """The requested ranges, clipped to the file; [] for the whole file. Raises Unsatisfiable.

    They are in the order of the request. Ranges beyond the end are left out; ranges that overlap or touch become one,
    at the place of the first of them, so no byte is sent twice (section 15.3.7.2). A header of another unit, of invalid
    syntax, or with more than MAX_RANGES is ignored, as section 14.2 allows.
    """
    unit = _UNIT.match(header) if header is not None else None
    if header is None or unit is None:
        return []
    elements = [element for element in header[unit.end() :].split(",") if element.strip()]
    if not 0 < len(elements) <= MAX_RANGES:
        return []
    ranges: list[ByteRange] = []
    for element in elements:
        match = _RANGE.fullmatch(element)
        if match is None or not _is_valid(match["first"], match["last"]):
            return []
        requested = _clipped(match["first"], match["last"], size)
        if requested is not None:
            ranges = _joined(ranges, requested)
    if not ranges:
        raise Unsatisfiable
    return ranges


def _is_valid(first: str, last: str) -> bool:
    if first and last:
        return int(first) <= int(last)
    return bool(first or last)


def _clipped(first: str, last: str, size: int) -> ByteRange | None:
    """The part of a range that is in the file; None if there is none."""
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last), size - 1) if first and last else size - 1
    return ByteRange(start, end) if start <= end else None


def _joined(ranges: list[ByteRange], added: ByteRange) -> list[ByteRange]:
    """The ranges and one more, which takes the place of the first one that it overlaps or touches."""
    place, others = len(ranges), []
    for index, present in enumerate(ranges):
        if present.first <= added.last + 1 and added.first <= present.last + 1:
            place = min(place, index)
            added = ByteRange(min(present.first, added.first), max(present.last, added.last))
        else:
            others.append(present)
    return [*others[:place], added, *others[place:]]
