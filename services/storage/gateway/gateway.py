"""Finds the published package that has the block of a CID."""

import base64
import binascii
import re
from dataclasses import dataclass

from services.storage.gateway.dag import Dag
from services.storage.providers.file_store import FileStore
from services.storage.tables.package_blocks import PackageBlocks
from shared.content.cid import Cid, NotACid
from shared.contracts.problem import Detail, invalid, not_found

PROBE = "bafkqaaa"
"""The identity CID of nothing, by which clients probe whether an address is a gateway."""
_VERSION_0 = re.compile(r"Qm[1-9A-HJ-NP-Za-km-z]{44}")


@dataclass(frozen=True)
class Gateway:
    objects: FileStore
    blocks: PackageBlocks

    async def open(self, cid: Cid) -> Dag:
        """What a published package has below this block. Raises NOT_FOUND, UNAVAILABLE."""
        file = await self.blocks.file_of(cid)
        if file is None:
            raise not_found(f"Block {cid} of a published package")
        return Dag(self.objects, self.blocks, file, cid)


def parsed_cid(text: str) -> Cid:
    """The CID of a request. Raises VALIDATION_FAILED at `path:cid`, NOT_FOUND for a form that no package has."""
    try:
        return Cid.parse(text)
    except NotACid as error:
        if _VERSION_0.fullmatch(text) or _is_other_cid(text):
            raise not_found(f"Block {text} of a published package") from error
        message = "must be a CIDv1 in lower-case base32: `b` and the letters a to z and digits 2 to 7"
        raise invalid(f"{text[:80]!r} is not a CID", Detail("path:cid", message)) from error


def _is_other_cid(text: str) -> bool:
    """Whether it is a CIDv1 with another codec or hash than packages have."""
    if not re.fullmatch(r"b[a-z2-7]{6,200}", text):
        return False
    try:
        return base64.b32decode(text[1:].upper() + "=" * (-len(text[1:]) % 8))[:1] == b"\x01"
    except binascii.Error:
        return False
