"""The bodies of successful responses: `{"data": …, "error": null}`, for lists in pages with an opaque cursor."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, TypeVar
from zlib import crc32

import msgspec
from litestar.params import QueryParameter

from shared.contracts.problem import Detail, Problem

T = TypeVar("T")
Row = TypeVar("Row")

LAST_NUMBER = 2**62
"""Greater than every position, version and id: where a list starts that goes from the newest item backwards."""


class Envelope(msgspec.Struct, Generic[T], frozen=True):
    data: T
    error: None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` requests the next one and is null on the last."""

    data: list[T]
    next_cursor: str | None = None
    error: None = None


Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many to answer at most")]
Cursor = Annotated[
    str | None, QueryParameter(min_length=1, max_length=1024, description="`next_cursor` of the page before")
]


def next_cursor(rows: Sequence[Row], limit: int, place: Callable[[Row], Any]) -> str | None:
    """The cursor after the first `limit` rows, None if there are no more rows. `place` returns a row's sort key."""
    return encode_cursor(place(rows[limit - 1])) if len(rows) > limit else None


def encode_cursor(place: Any) -> str:
    """An opaque cursor for a place in a list: any value that msgspec encodes, such as a tuple of the sort key.

    Its checksum lets an altered cursor be refused instead of answered with the wrong page. It is no signature: a query
    must limit itself to what its user may see, whatever the cursor is.
    """
    raw = msgspec.json.encode(place)
    return urlsafe_b64encode(crc32(raw).to_bytes(4) + raw).rstrip(b"=").decode()


def decode_cursor(cursor: str, as_type: type[T]) -> T:
    """The place in a cursor. Raises VALIDATION_FAILED at `?cursor` if `encode_cursor` has not made it of that type."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if crc32(raw[4:]) == int.from_bytes(raw[:4]):
            return msgspec.json.decode(raw[4:], type=as_type)
    except (ValueError, msgspec.MsgspecError):
        pass
    message = "is not a cursor of this list; take it unchanged from `next_cursor` of the page before"
    raise Problem("VALIDATION_FAILED", f"?cursor {message}", Detail("?cursor", message))


def cursor_number(cursor: str | None, start: int) -> int:
    """The number in a cursor, from -1 to LAST_NUMBER, which is within PostgreSQL's bigint; `start` without a cursor."""
    return start if cursor is None else max(-1, min(decode_cursor(cursor, int), LAST_NUMBER))
