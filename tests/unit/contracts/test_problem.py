"""Problems are bounded in size, whatever the input."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.problem import MAX_ANSWER, MAX_TEXT, Detail, invalid, quote, shortened

TEXTS = (
    st.text(max_size=40) | st.integers(0, 5000).map(lambda n: "\0" * n) | st.integers(0, 5000).map(lambda n: "é" * n)
)


def size(value):
    return len(msgspec.json.encode(value))


@given(TEXTS, st.lists(st.builds(Detail, TEXTS, TEXTS), max_size=30))
def test_a_refusal_is_bounded(detail, details):
    """In bytes of JSON: a control character takes six."""
    problem = invalid(detail, *details)
    assert size(problem.detail) - 2 <= MAX_TEXT
    assert size(problem.details) <= MAX_ANSWER + 2
    assert all(size(each.message) - 2 <= MAX_TEXT for each in problem.details)


def test_details_that_fit_are_kept_as_they_are():
    details = [Detail(f"/a/{index}", "is wrong") for index in range(100)]
    assert invalid("Wrong", *details).details == details


def test_a_pointer_that_is_too_long_becomes_that_of_a_value_above():
    """A pointer that is cut in its middle would name nothing that was sent."""
    [detail] = invalid("Wrong", Detail(f"/data/{'k' * 5000}/0", "is wrong")).details
    assert detail.pointer == "/data"


def test_a_long_sentence_ends_in_an_ellipsis():
    assert shortened("x" * 5000).endswith("x…")
    assert shortened("short") == "short"


def test_a_lone_surrogate_is_not_handed_on():
    """No JSON can carry it."""
    assert size(invalid("\ud800").detail) > 0


def test_a_value_is_quoted_without_being_written_whole():
    """A string is cut; a list is only named as one."""
    assert quote("x" * 10**6) == f"'{'x' * 56}..."
    assert quote(["x"] * 10**6) == "a list"
    assert len(quote(10**4000)) == 60
