"""What every success looks like, and how lists go on: `{"data": …, "error": null}`, pages with an opaque cursor."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated, Any, Generic, TypeVar
from zlib import crc32

import msgspec
from litestar.params import QueryParameter

from shared.contracts.problem import Detail, Problem

T = TypeVar("T")


class Envelope(msgspec.Struct, Generic[T], frozen=True):
    data: T
    error: None = None


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list; `next_cursor` asks for the next one and is null on the last."""

    data: list[T]
    next_cursor: str | None = None
    error: None = None


Limit = Annotated[int, QueryParameter(ge=1, le=100, description="How many to answer at most")]
Cursor = Annotated[
    str | None, QueryParameter(min_length=1, max_length=1024, description="`next_cursor` of the page before")
]


def encode_cursor(position: Any) -> str:
    """An opaque cursor for a list position: any value that msgspec encodes, such as a tuple of the sort key.

    A checksum goes with it, so that a cut or altered cursor is refused instead of answering from somewhere else. It is
    no signature: a cursor must not be able to reach what its user may not see.
    """
    raw = msgspec.json.encode(position)
    return urlsafe_b64encode(crc32(raw).to_bytes(4) + raw).rstrip(b"=").decode()


def decode_cursor(cursor: str, as_type: type[T]) -> T:
    """The position back, checked against its type; VALIDATION_FAILED at `?cursor` when it isn't one of ours."""
    try:
        raw = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        if crc32(raw[4:]) == int.from_bytes(raw[:4]):
            return msgspec.json.decode(raw[4:], type=as_type)
    except (ValueError, msgspec.MsgspecError):
        pass
    message = "is not a cursor of this list; take it unchanged from `next_cursor` of the page before"
    raise Problem("VALIDATION_FAILED", f"?cursor {message}", Detail("?cursor", message))
