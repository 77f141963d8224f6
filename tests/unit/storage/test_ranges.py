"""Ranges of bytes are honoured, those beyond the file left out or refused; anything else is the whole file."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage.domain.ranges import MAX_RANGES, ByteRange, Unsatisfiable, parse_ranges

WHOLE: list[ByteRange] = []


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, WHOLE),
        ("bytes=0-3", 10, [(0, 3)]),
        ("bytes=0-0", 10, [(0, 0)]),
        ("Bytes = 2 - 5", 10, [(2, 5)]),
        ("bytes=4-", 10, [(4, 9)]),
        ("bytes=4-99", 10, [(4, 9)]),
        ("bytes=-3", 10, [(7, 9)]),
        ("bytes=-99", 10, [(0, 9)]),
        ("bytes=9-9", 10, [(9, 9)]),
        ("bytes=5-2", 10, WHOLE),
        ("bytes=-", 10, WHOLE),
        ("bytes=", 10, WHOLE),
        ("bytes=a-b", 10, WHOLE),
        ("bytes=1", 10, WHOLE),
        ("items=0-3", 10, WHOLE),
        ("bytes=0-" + "9" * 40, 10, WHOLE),
        ("bytes=0-1,4-5", 10, [(0, 1), (4, 5)]),
        ("bytes=-1 , 0-1,,", 10, [(9, 9), (0, 1)]),
        ("bytes=0-1,99-", 10, [(0, 1)]),
        ("bytes=0-3,2-5", 10, [(0, 5)]),
        ("bytes=8-,0-1,2-3", 10, [(8, 9), (0, 3)]),
        ("bytes=0-1,8-9,1-8", 10, [(0, 9)]),
        ("bytes=0-,-1", 10, [(0, 9)]),
        ("bytes=0-1,5-2", 10, WHOLE),
        ("bytes=0-1,x", 10, WHOLE),
        ("bytes=" + "0-0," * (MAX_RANGES + 1), 10, WHOLE),
    ],
)
def test_ranges_are_read(header, size, expected):
    assert parse_ranges(header, size) == [ByteRange(*span) for span in expected]


@pytest.mark.parametrize(
    ("header", "size"),
    [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=-5", 0), ("bytes=10-,-0", 10)],
)
def test_ranges_beyond_the_file_are_not_satisfiable(header, size):
    with pytest.raises(Unsatisfiable):
        parse_ranges(header, size)


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=MAX_RANGES), st.integers(0, 30))
def test_each_byte_of_the_ranges_is_sent_once(spans, size):
    """Exactly those bytes of the file that are in one of the ranges; parts neither overlap nor touch."""
    header = "bytes=" + ",".join(f"{first}-{last}" for first, last in spans)
    if any(last < first for first, last in spans):
        assert parse_ranges(header, size) == WHOLE
        return
    expected = {byte for first, last in spans for byte in range(first, last + 1) if byte < size}
    if not expected:
        with pytest.raises(Unsatisfiable):
            parse_ranges(header, size)
        return
    parts = parse_ranges(header, size)
    sent = [byte for part in parts for byte in range(part.first, part.last + 1)]
    assert sorted(sent) == sorted(expected)
    ordered = sorted(parts)
    assert all(before.last + 1 < after.first for before, after in pairwise(ordered))


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 10**12))
def test_a_range_never_leaves_the_file(first, last, size):
    try:
        result = parse_ranges(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert first >= size
        return
    if not result:
        assert last < first
        return
    [span] = result
    assert 0 <= span.first <= span.last < size
    assert span.length == min(last, size - 1) - first + 1
