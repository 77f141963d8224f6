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
def test_if_match_gives_back_the_version_of_the_etag(version: int, variant: str) -> None:
    """What was answered as ETag, of whatever representation, is understood in If-Match."""
    assert precondition(request(if_match=etag(version, variant))).expected(version) == version


@pytest.mark.parametrize("headers", [{}, {"if_match": "*"}, {"if_match": " * "}, {"if_none_match": '"4"'}])
def test_without_a_tag_no_version_is_expected(headers: dict[str, str]) -> None:
    """No If-Match, or any version at all."""
    assert precondition(request(**headers)).expected(3) is None


@pytest.mark.parametrize(
    ("value", "versions"), [('"3", "4"', {3, 4}), (' "3-csv" ,"x", W/"5" ', {3}), ('"3",, "4",', {3, 4})]
)
def test_any_of_several_tags_may_match(value: str, versions: set[int]) -> None:
    """A list is one of the forms of If-Match; weak and foreign tags in it match nothing."""
    asked = precondition(request(if_match=value))
    assert asked.any_of == versions
    assert [asked.expected(version) == version for version in (3, 4, 5)] == [v in versions for v in (3, 4, 5)]


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
def test_a_tag_that_none_of_ours_equals_is_stale(value: str) -> None:
    """Weak, foreign or garbled tags never match: VERSION_CONFLICT."""
    with pytest.raises(Problem) as refusal:
        precondition(request(if_match=value))
    assert refusal.value.code == "VERSION_CONFLICT"


@pytest.mark.parametrize("value", ["*", '"3"', 'W/"3"', '"1", "3-csv"'])
def test_if_none_match_keeps_a_write_from_what_is_there(value: str) -> None:
    """With `*` from anything, with tags from those versions; nothing else is in its way."""
    with pytest.raises(Problem) as refusal:
        precondition(request(if_none_match=value)).expected(3)
    assert refusal.value.code == "VERSION_CONFLICT"


@pytest.mark.parametrize(
    ("given_tags", "known"),
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
def test_if_none_match_compares_weakly(given_tags: str, *, known: bool) -> None:
    """Any of the listed tags, weak or not, says that the client has this representation of version 3."""
    assert is_not_modified(given_tags, etag(3)) is known


def test_what_the_client_has_is_not_sent_again() -> None:
    """304 with the ETag and no content; otherwise the content with its ETag."""
    same = versioned(request(if_none_match='"3"'), {"a": 1}, 3)
    other = versioned(request(if_none_match='"2"'), {"a": 1}, 3)
    assert (same.status_code, same.content, same.headers["etag"]) == (304, None, '"3"')
    assert (other.status_code, other.content, other.headers["etag"]) == (200, {"a": 1}, '"3"')


@given(st.tuples(st.datetimes(), st.uuids(), st.integers(-(2**60), 2**60)))
def test_a_cursor_comes_back_as_the_position_it_was_made_of(position: tuple[Any, ...]) -> None:
    """Encoding and decoding are inverse, and the text is fit for a query string."""
    cursor = encode_cursor(position)
    assert decode_cursor(cursor, tuple[datetime, UUID, int]) == position
    assert cursor.replace("-", "").replace("_", "").isalnum()


@given(st.text(max_size=60))
def test_anything_else_is_no_cursor(text: str) -> None:
    """Whatever is sent as a cursor is either one of ours or VALIDATION_FAILED at ?cursor."""
    with pytest.raises(Problem) as refusal:
        decode_cursor(text, tuple[int, str])
    assert [detail.pointer for detail in refusal.value.details] == ["?cursor"]


@given(st.data())
def test_an_altered_cursor_is_refused(data: st.DataObject) -> None:
    """One changed or missing character is noticed."""
    cursor = encode_cursor((7, "name"))
    place = data.draw(st.integers(0, len(cursor) - 2))
    letter = data.draw(st.sampled_from("ABCabc019-_"))
    for altered in (cursor[:place] + letter + cursor[place + 1 :], cursor[:place]):
        if altered != cursor:
            with pytest.raises(Problem):
                decode_cursor(altered, tuple[int, str])


def test_a_cursor_of_another_list_is_refused() -> None:
    """A whole cursor with a position of another shape is VALIDATION_FAILED too."""
    with pytest.raises(Problem):
        decode_cursor(encode_cursor({"a": 1}), tuple[int, str])


def test_a_page_has_a_cursor_if_there_are_more_rows_than_its_limit() -> None:
    """The cursor is the place of the page's last row, and is within a bigint whatever a client makes up."""
    rows = [(7, "a"), (5, "b"), (3, "c")]
    assert next_cursor(rows, 3, itemgetter(0)) is None
    assert cursor_number(next_cursor(rows, 2, itemgetter(0)), LAST_NUMBER) == 5
    assert cursor_number(None, LAST_NUMBER) == LAST_NUMBER
    assert cursor_number(encode_cursor(2**63), 0) == LAST_NUMBER
    assert cursor_number(encode_cursor(-(2**63)), 0) == -1
