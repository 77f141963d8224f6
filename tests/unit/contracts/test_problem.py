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
def test_problems_are_bounded_in_bytes(detail, details):
    """In bytes of JSON: a control character takes six."""
    problem = invalid(detail, *details)
    assert size(problem.detail) - 2 <= MAX_TEXT
    assert size(problem.details) <= MAX_ANSWER + 2
    assert all(size(fault.message) - 2 <= MAX_TEXT for fault in problem.details)


def test_details_that_fit_are_kept_as_they_are():
    details = [Detail(f"/a/{index}", "is wrong") for index in range(100)]
    assert invalid("Wrong", *details).details == details


def test_a_long_pointer_becomes_that_of_an_ancestor():
    """A pointer that is cut in the middle would name no value."""
    [detail] = invalid("Wrong", Detail(f"/data/{'k' * 5000}/0", "is wrong")).details
    assert detail.pointer == "/data"


def test_a_long_message_ends_in_an_ellipsis():
    assert shortened("x" * 5000).endswith("x…")
    assert shortened("short") == "short"


def test_lone_surrogates_are_replaced():
    """JSON can't contain them."""
    assert size(invalid("\ud800").detail) > 0


def test_quoted_values_are_cut():
    """A list or an object is only named as such."""
    assert quote("x" * 10**6) == f"'{'x' * 56}..."
    assert quote(["x"] * 10**6) == "a list"
    assert len(quote(10**4000)) == 60
