"""Whether a request may be sent a second time, so that its effect and its answer are as if it had been sent once."""

from collections.abc import Iterable
from typing import NamedTuple

from shared.http.etag import is_one_tag

READS = frozenset({"GET", "HEAD", "OPTIONS"})
IDEMPOTENT = frozenset({"PUT", "DELETE"})


class Repetition(NamedTuple):
    """`after_break`: after an attempt whose connection broke. `beside`: also while another attempt may be handled."""

    after_break: bool
    beside: bool


NEVER = Repetition(after_break=False, beside=False)
ALWAYS = Repetition(after_break=True, beside=True)


def repetition_of(method: str, headers: Iterable[tuple[bytes, bytes]], *, is_versioned: bool) -> Repetition:
    """That of a request. `is_versioned`: as in the edge's `Rule`.

    Commands that services recognise, by Idempotency-Key or by one tag in If-Match, are as safe as reads. An idempotent
    one with another condition is not: the version that the first attempt made may fail the condition of the second.
    """
    keys, matches, others = 0, [], 0
    for name, value in headers:
        keys += name == b"idempotency-key"
        others += name == b"if-none-match"
        if name == b"if-match":
            matches.append(value.decode("latin-1"))
    if method in READS or keys or (is_versioned and len(matches) == 1 and is_one_tag(matches[0])):
        return ALWAYS
    if method in IDEMPOTENT and not (is_versioned and (matches or others)):
        return Repetition(after_break=True, beside=False)
    return NEVER
