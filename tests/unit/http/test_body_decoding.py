"""Decoding of JSON bodies: what is rejected, and the pointer to the fault."""

import json
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.problem import Problem
from shared.http.json_body import MAX_DEPTH, decode_body, is_too_deep


class Step(msgspec.Struct):
    id: int
    payload: dict[str, int] = {}


class Data(msgspec.Struct):
    steps: list[Step]
    owner: UUID | None = None


class Body(msgspec.Struct, forbid_unknown_fields=True):
    data: Data
    title: str = ""


@pytest.mark.parametrize(
    ("body", "pointer", "message"),
    [
        (b'{"data": {"steps": [{"id": 1}, {"id": "2"}]}}', "/data/steps/1/id", "Expected `int`, got `str`"),
        (b'{"data": {"steps": [{}]}}', "/data/steps/0/id", "is required"),
        (b"{}", "/data", "is required"),
        (b'{"data": {"steps": []}, "more": 1}', "/more", "is not known here"),
        (b'{"data": {"steps": []}, "a/b~c": 1}', "/a~1b~0c", "is not known here"),
        (b"[]", "", "Expected `object`, got `array`"),
        (b'{"data": {"steps": [], "owner": "me"}}', "/data/owner", "Invalid UUID"),
        (
            b'{"data": {"steps": [{"id": 1, "payload": {"a.b": "x"}}]}}',
            "/data/steps/0/payload",
            "Expected `int`, got `str` (in one of its members)",
        ),
    ],
)
def test_a_fault_has_the_pointer_of_the_value(body: bytes, pointer: str, message: str) -> None:
    """In the body as it was sent, also below a field that is called `data`."""
    with pytest.raises(Problem) as refusal:
        decode_body(body, Body)
    assert refusal.value.code == "VALIDATION_FAILED"
    assert [(detail.pointer, detail.message) for detail in refusal.value.details] == [(pointer, message)]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{} x",
        b"nonsense",
        b"\xff\xfe",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b"NaN",
        b"1e999",
        b"1" * 5000,
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'"a\x00b"',
        b'"a\\u0000b"',
        b'{"a": [{"\\u0000": 1}]}',
    ],
)
def test_malformed_json_is_rejected(body: bytes) -> None:
    """Broken, not UTF-8, out of range, too deep, or with U+0000: VALIDATION_FAILED, never 500."""
    with pytest.raises(Problem) as refusal:
        decode_body(body, Any)
    assert refusal.value.code == "VALIDATION_FAILED"


def test_an_escaped_backslash_before_u0000_is_accepted() -> None:
    """It is a backslash and some letters, not an escape of NUL."""
    assert decode_body(b'"\\\\u0000"', Any) == "\\u0000"


def depth_of(value: Any) -> int:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if children is None else 1 + max((depth_of(child) for child in children), default=0)


json_values = st.recursive(
    st.none() | st.integers() | st.text(alphabet='[]{}"\\a', max_size=12),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(alphabet='[{"\\', max_size=4), children, max_size=4)
    ),
    max_leaves=40,
)


@given(json_values, st.integers(0, 6))
def test_brackets_in_strings_do_not_count_as_depth(value: Any, limit: int) -> None:
    """Nor quotes."""
    assert is_too_deep(json.dumps(value).encode(), limit) == (depth_of(value) > limit)


def test_the_deepest_body_allowed_is_accepted() -> None:
    """One level more is rejected."""
    decode_body(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, Any)
    with pytest.raises(Problem, match="deeper than"):
        decode_body(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), Any)
