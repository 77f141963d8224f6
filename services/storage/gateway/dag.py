"""The blocks of one published package, read from its CAR file and compared with their CIDs."""

import hashlib
from collections.abc import Iterable

from services.storage.providers.file_store import FileStore, NoSuchFile
from services.storage.tables.package_blocks import PackageBlocks, PackageFile, Place
from shared.content.cid import DAG_PB, Cid
from shared.content.nodes import Block, decode
from shared.contracts.problem import Problem
from shared.telemetry import get_logger

log = get_logger("gateway")


class Dag:
    """A package has all blocks below any of its own, so that nothing is looked up elsewhere."""

    def __init__(self, objects: FileStore, blocks: PackageBlocks, file: PackageFile, root: Cid) -> None:
        """`file` is that of the block `root`."""
        self._objects, self._blocks, self._file = objects, blocks, file
        self._places: dict[Cid, Place] = {root: file.place}

    async def expect(self, cids: Iterable[Cid]) -> None:
        """Looks up the places of blocks that will be read: one query instead of one for each."""
        unknown = [cid for cid in cids if cid not in self._places]
        if unknown:
            self._places |= await self._blocks.places(self._file.asset_id, unknown)

    async def size(self, cid: Cid) -> int:
        """Bytes of a block."""
        await self.expect([cid])
        if cid not in self._places:
            raise self._missing(cid, "is not listed")
        return self._places[cid].length

    async def block(self, cid: Cid) -> bytes:
        """A block's bytes. Raises UNAVAILABLE if they are not in the file store, or are not those of the CID."""
        await self.size(cid)
        place = self._places[cid]
        if cid.codec != DAG_PB:
            del self._places[cid]  # a file of many chunks would fill the memory
        try:
            data = await self._read(place)
        except NoSuchFile as error:
            raise self._missing(cid, "is in a file that the store has lost") from error
        if hashlib.sha256(data).digest() != cid.digest:
            raise self._missing(cid, "has other bytes in the store")
        return data

    async def _read(self, place: Place) -> bytes:
        if not place.length:
            return b""
        pieces = await self._objects.read(self._file.path, place.offset, place.length)
        return b"".join([piece async for piece in pieces])

    async def node(self, cid: Cid) -> Block:
        """A block that is a file or a directory, decoded."""
        return decode(await self.block(cid))

    def _missing(self, cid: Cid, reason: str) -> Problem:
        log.error("a block of a published package can't be served", cid=str(cid), path=self._file.path, reason=reason)
        return Problem("UNAVAILABLE", f"Block {cid} can't be read from the file store right now: try again later")
