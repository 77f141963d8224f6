"""Encodes lists as PostgreSQL's binary arrays.

Hand-written because psycopg spent most of the time of an append in its array dumper; this needs one join per list.

The format is that of `array_send` in PostgreSQL's arrayfuncs.c: dimensions, a null flag, the element's oid, then length
and lower bound, then each element with its length.
"""

from collections.abc import Sequence
from struct import pack
from uuid import UUID

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.pq import Format

UUID_OID, INT4_OID, INT8_OID, TEXT_OID, BYTEA_OID = 2950, 23, 20, 25, 17


class BinaryArray:
    """An encoded array, ready to be sent."""

    __slots__ = ("data",)

    def __init__(self, oid: int, count: int, elements: bytes) -> None:
        self.data = pack(">iiIii", 1 if count else 0, 0, oid, count, 1) + elements if count else pack(">iiI", 0, 0, oid)


class _BinaryArrayDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: BinaryArray) -> Buffer:
        return obj.data


def register(connection: psycopg.AsyncConnection) -> None:
    """Lets the connection accept BinaryArray as a parameter."""
    connection.adapters.register_dumper(BinaryArray, _BinaryArrayDumper)


def uuids(values: Sequence[UUID]) -> BinaryArray:
    """Encodes a `uuid[]`."""
    return BinaryArray(UUID_OID, len(values), b"".join([b"\0\0\0\x10" + value.bytes for value in values]))


def byteas(values: Sequence[bytes]) -> BinaryArray:
    """Encodes a `bytea[]`."""
    return BinaryArray(BYTEA_OID, len(values), b"".join([pack(">i", len(value)) + value for value in values]))


def texts(values: Sequence[str]) -> BinaryArray:
    """Encodes a `text[]`."""
    encoded = [value.encode() for value in values]
    return BinaryArray(TEXT_OID, len(values), b"".join([pack(">i", len(value)) + value for value in encoded]))


def int8s(values: Sequence[int]) -> BinaryArray:
    """Encodes a `bigint[]`."""
    return BinaryArray(INT8_OID, len(values), b"".join([pack(">iq", 8, value) for value in values]))


def int4s(values: Sequence[int]) -> BinaryArray:
    """Encodes an `integer[]`."""
    return BinaryArray(INT4_OID, len(values), b"".join([pack(">ii", 4, value) for value in values]))
