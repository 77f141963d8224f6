"""CIDv1 with sha2-256 (https://github.com/multiformats/cid): identifies a block by its content."""

import base64
import hashlib
from typing import NamedTuple

RAW, DAG_PB = 0x55, 0x70
"""Codecs: raw bytes, and nodes of files and directories."""
SHA2_256 = bytes([0x12, 0x20])
LENGTH = 36
"""Bytes: version, codec, hash function and digest length are one each, the digest is 32."""


class NotACid(ValueError):  # noqa: N818 - named for what the data is not
    """Not a CIDv1 of raw or dag-pb content with sha2-256; the message says why."""


class Cid(NamedTuple):
    """`codec` is RAW or DAG_PB; `digest` is the sha256 of the block. `str()` gives the text `b…`."""

    codec: int
    digest: bytes

    @classmethod
    def of(cls, codec: int, block: bytes) -> "Cid":
        """The CID of a block's bytes."""
        return cls(codec, hashlib.sha256(block).digest())

    @classmethod
    def read(cls, data: bytes, offset: int = 0) -> "Cid":
        """The CID whose 36 bytes begin at `offset`. Raises NotACid."""
        encoded = data[offset : offset + LENGTH]
        if len(encoded) < LENGTH:
            raise NotACid("a CID is truncated")
        if encoded[0] != 1 or encoded[1] not in (RAW, DAG_PB) or encoded[2:4] != SHA2_256:
            raise NotACid(f"{encoded[:4].hex()} is not the start of a CIDv1 of raw or dag-pb content with sha2-256")
        return cls(encoded[1], encoded[4:])

    @classmethod
    def parse(cls, text: str) -> "Cid":
        """The CID from its text `b…`, multibase's lower-case base32. Raises NotACid."""
        try:
            data = base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))
        except ValueError as error:
            raise NotACid(f"{text!r} is not base32") from error
        cid = cls.read(data)
        if str(cid) != text:
            raise NotACid(f"{text!r} is not a CIDv1 in lower-case base32")
        return cid

    @property
    def encoded(self) -> bytes:
        """Its 36 bytes."""
        return bytes([1, self.codec]) + SHA2_256 + self.digest

    def __str__(self) -> str:
        return "b" + base64.b32encode(self.encoded).decode().rstrip("=").lower()
