"""One range of bytes is honoured, one beyond the file refused, and anything else answered with the whole file."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.storage.domain.ranges import ByteRange, Unsatisfiable, parse_range

WHOLE = None


@pytest.mark.parametrize(
    ("header", "size", "expected"),
    [
        (None, 10, WHOLE),
        ("bytes=0-3", 10, ByteRange(0, 3)),
        ("bytes=0-0", 10, ByteRange(0, 0)),
        ("Bytes = 2 - 5", 10, ByteRange(2, 5)),
        ("bytes=4-", 10, ByteRange(4, 9)),
        ("bytes=4-99", 10, ByteRange(4, 9)),
        ("bytes=-3", 10, ByteRange(7, 9)),
        ("bytes=-99", 10, ByteRange(0, 9)),
        ("bytes=9-9", 10, ByteRange(9, 9)),
        ("bytes=5-2", 10, WHOLE),
        ("bytes=0-1,4-5", 10, WHOLE),
        ("bytes=-", 10, WHOLE),
        ("bytes=a-b", 10, WHOLE),
        ("bytes=1", 10, WHOLE),
        ("items=0-3", 10, WHOLE),
        ("bytes=0-" + "9" * 40, 10, WHOLE),
    ],
)
def test_a_range_is_read(header, size, expected):
    assert parse_range(header, size) == expected


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=10-", 10), ("bytes=10-12", 10), ("bytes=-0", 10), ("bytes=0-", 0)]
)
def test_a_range_beyond_the_file_is_not_satisfiable(header, size):
    with pytest.raises(Unsatisfiable):
        parse_range(header, size)


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.integers(1, 10**12))
def test_a_range_never_leaves_the_file(first, last, size):
    try:
        result = parse_range(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert first >= size
        return
    if result is None:
        assert last < first
    else:
        assert result.first == first
        assert 1 <= result.length <= size - first
        assert result.last == min(last, size - 1)
