"""Decoding a body takes time in proportion to its size: twice the body, at most about twice the steps."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from shared.contracts.problem import Problem
from shared.http.json_body import decode_body

BODIES: dict[str, Callable[[int], bytes]] = {
    "a long text": lambda n: b'"' + b"x" * n + b'"',
    "a long number": lambda n: b"[" + b"1" * n + b"]",
    "a number with a great exponent": lambda n: b"[1e" + b"9" * n + b"]",
    "many numbers": lambda n: b"[" + b",".join([b"1e2"] * n) + b"]",
    "many objects": lambda n: b"[" + b",".join([b'{"a":1}'] * n) + b"]",
    "many members": lambda n: b"{" + b",".join(b'"%d":1e2' % number for number in range(n)) + b"}",
    "doubled members": lambda n: b"{" + b",".join([b'"a":1'] * n) + b"}",
    "escapes": lambda n: b'"' + b"\\u0041" * n + b'"',
    "halves of pairs": lambda n: b'["' + b"\\ud800" * n + b'"]',
    "brackets": lambda n: b"[" * n + b"]" * n,
    "brackets that are never closed": lambda n: b"[" * n,
    "quotes": lambda n: b'"\\"' * n,
    "backslashes": lambda n: b'"' + b"\\" * n,
}


def steps(body: bytes) -> int:
    """How many functions are called to decode a body: a measure that does not depend on the machine's load."""
    count = 0

    def called(_frame: Any, event: str, _argument: Any) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(called)
    try:
        with suppress(Problem):
            decode_body(body, Any)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("kind", BODIES)
def test_decoding_takes_steps_in_proportion_to_the_body(kind: str) -> None:
    once, twice = steps(BODIES[kind](2000)), steps(BODIES[kind](4000))
    assert twice <= 2 * once + 50


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_of_the_maximum_size_is_decoded_within_seconds(kind: str) -> None:
    """Of CPU time. It also covers what one function call does, such as a long number or a backtracking pattern."""
    size = len(BODIES[kind](1000)) / 1000
    body = BODIES[kind](int(1_000_000 / size))
    began = time.process_time()
    with suppress(Problem):
        decode_body(body, Any)
    assert time.process_time() - began < 5
