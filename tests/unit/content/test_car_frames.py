"""The blocks of a CAR file are found in its bytes, in whatever pieces they come."""

import hashlib
from itertools import accumulate, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.content import car
from shared.content.car_frames import CarFrames, Frame
from shared.content.cid import LENGTH, Cid, NotACid
from tests.unit.content.contents import MIB, content
from tests.unit.content.package_file import car_file

FILES = [content(2 * MIB + 5, 1), b"", content(777, 2), content(777, 2), content(128 - LENGTH, 3)]
FILE = car_file(FILES)


def frames_of(pieces: list[bytes]) -> list[Frame]:
    frames = CarFrames()
    return [frame for piece in pieces for frame in frames.update(piece)]


def test_the_frames_are_all_blocks_of_the_file():
    """Each is where its bytes are, and the last one ends the file."""
    frames = frames_of([FILE])
    assert len({frame.cid for frame in frames}) == len(frames)
    for cid, place, length in frames:
        assert hashlib.sha256(FILE[place : place + length]).digest() == cid.digest
    assert sum(len(car.frame(frame.cid, frame.length)) + frame.length for frame in frames) + car.HEADER_LENGTH == len(
        FILE
    )
    assert 0 in {frame.length for frame in frames}


@given(st.lists(st.integers(1, 2 * MIB), max_size=40), st.integers(1, 60))
def test_the_pieces_do_not_matter(lengths: list[int], small: int):
    """A file is cut anywhere: also within the lengths and CIDs that precede blocks, which small pieces do."""
    ends = [end for end in accumulate([small] * 40 + lengths) if end < len(FILE)]
    cuts = [0, *ends, len(FILE)]
    pieces = [FILE[first:last] for first, last in pairwise(cuts)]
    assert frames_of(pieces) == frames_of([FILE])


def test_other_bytes_are_not_blocks():
    with pytest.raises(NotACid):
        frames_of([FILE[: car.HEADER_LENGTH] + b"\x30" + bytes(60)])
    assert frames_of([FILE[: car.HEADER_LENGTH]]) == []
    assert frames_of([car.header(Cid.of(0x70, b"")) + b"\x80"]) == []
