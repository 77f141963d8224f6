"""ETags, If-Match, If-None-Match, and cursors."""

from datetime import datetime
from operator import itemgetter
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from litestar.testing import RequestFactory

from shared.contracts.problem import Problem
from shared.http.envelope import LAST_NUMBER, cursor_number, decode_cursor, encode_cursor, next_cursor
from shared.http.etag import etag, is_not_modified, precondition, versioned


def request(**headers: str) -> Any:
    return RequestFactory().get(headers={name.replace("_", "-"): value for name, value in headers.items()})


@given(st.integers(0, 2**53), st.sampled_from(["", "csv", "current"]))
def test_if_match_accepts_the_etags_of_responses(version: int, variant: str) -> None:
    """Of any representation of the version."""
    assert precondition(request(if_match=etag(version, variant))).expected(version) == version


@pytest.mark.parametrize("headers", [{}, {"if_match": "*"}, {"if_match": " * "}, {"if_none_match": '"4"'}])
def test_without_a_tag_no_version_is_expected(headers: dict[str, str]) -> None:
    """Without If-Match, or with `*`."""
    assert precondition(request(**headers)).expected(3) is None


@pytest.mark.parametrize(
    ("value", "versions"), [('"3", "4"', {3, 4}), (' "3-csv" ,"x", W/"5" ', {3}), ('"3",, "4",', {3, 4})]
)
def test_any_of_several_tags_may_match(value: str, versions: set[int]) -> None:
    """Weak and foreign tags in the list match nothing."""
    write = precondition(request(if_match=value))
    assert write.any_of == versions
    assert [write.expected(version) == version for version in (3, 4, 5)] == [v in versions for v in (3, 4, 5)]


STALE = [
    "",
    "3",
    'W/"3"',
    '"x"',
    '""',
    '"-1"',
    '"03"',
    '"+3"',
    '"3 "',
    '"3" "4"',
    "'3'",
    '"99999999999999999999"',
    "3, *",
]


@pytest.mark.parametrize("value", STALE)
def test_weak_foreign_and_malformed_tags_never_match(value: str) -> None:
    """VERSION_CONFLICT."""
    with pytest.raises(Problem) as refusal:
        precondition(request(if_match=value))
    assert refusal.value.code == "VERSION_CONFLICT"


@pytest.mark.parametrize("value", ["*", '"3"', 'W/"3"', '"1", "3-csv"'])
def test_if_none_match_prevents_writes(value: str) -> None:
    """With `*` to every version, with tags to these versions."""
    with pytest.raises(Problem) as refusal:
        precondition(request(if_none_match=value)).expected(3)
    assert refusal.value.code == "VERSION_CONFLICT"


@pytest.mark.parametrize(
    ("tags", "is_known"),
    [
        ('"3"', True),
        ('W/"3"', True),
        ('"1", "3"', True),
        ("*", True),
        ('"30"', False),
        ('"3-csv"', False),
        ('"2"', False),
        ("", False),
    ],
)
def test_if_none_match_compares_weakly(tags: str, *, is_known: bool) -> None:
    """Any of the listed tags, weak or not, states that the client has this representation."""
    assert is_not_modified(tags, etag(3)) is is_known


def test_a_representation_that_the_client_has_is_not_sent_again() -> None:
    """304 with the ETag and no content; otherwise the content with its ETag."""
    same = versioned(request(if_none_match='"3"'), {"a": 1}, 3)
    other = versioned(request(if_none_match='"2"'), {"a": 1}, 3)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, None, '"3"')
    assert (other.status_code, other.content, other.headers["etag"]) == (200, {"a": 1}, '"3"')


@given(st.tuples(st.datetimes(), st.uuids(), st.integers(-(2**60), 2**60)))
def test_decoding_a_cursor_reverses_encoding(position: tuple[Any, ...]) -> None:
    """The text needs no escapes in a query string."""
    cursor = encode_cursor(position)
    assert decode_cursor(cursor, tuple[datetime, UUID, int]) == position
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=60))
def test_anything_else_is_no_cursor(text: str) -> None:
    """Any other text is VALIDATION_FAILED at ?cursor."""
    with pytest.raises(Problem) as refusal:
        decode_cursor(text, tuple[int, str])
    assert [detail.pointer for detail in refusal.value.details] == ["?cursor"]


@given(st.data())
def test_an_altered_cursor_is_rejected(data: st.DataObject) -> None:
    """One changed or missing character is detected."""
    cursor = encode_cursor((7, "name"))
    place = data.draw(st.integers(0, len(cursor) - 2))
    letter = data.draw(st.sampled_from("ABCabc019-_"))
    for altered in (cursor[:place] + letter + cursor[place + 1 :], cursor[:place]):
        if altered != cursor:
            with pytest.raises(Problem):
                decode_cursor(altered, tuple[int, str])


def test_a_cursor_of_another_list_is_rejected() -> None:
    """If the type of its position differs: VALIDATION_FAILED."""
    with pytest.raises(Problem):
        decode_cursor(encode_cursor({"a": 1}), tuple[int, str])


def test_a_page_has_a_cursor_if_there_are_more_rows_than_its_limit() -> None:
    """The cursor is the position of the page's last row; its number is limited to a bigint."""
    rows = [(7, "a"), (5, "b"), (3, "c")]
    assert next_cursor(rows, 3, itemgetter(0)) is None
    assert cursor_number(next_cursor(rows, 2, itemgetter(0)), LAST_NUMBER) == 5
    assert cursor_number(None, LAST_NUMBER) == LAST_NUMBER
    assert cursor_number(encode_cursor(2**63), 0) == LAST_NUMBER
    assert cursor_number(encode_cursor(-(2**63)), 0) == -1
