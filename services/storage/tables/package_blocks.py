"""Where the blocks of published packages are: in which CAR file, and at which byte.

It is written when a package is built, before that is recorded. Only packages of published collections have blocks here.
"""

from array import array
from collections.abc import Iterable, Sequence
from typing import LiteralString, NamedTuple
from uuid import UUID

from shared.content.car_frames import Frame
from shared.content.cid import LENGTH, Cid
from shared.eventstore import EventStore

BATCH = 5_000
"""Rows that are written by one statement."""

INSERT_BLOCKS: LiteralString = """
insert into package_blocks (cid, asset_id, place, length)
select cid, %s, place, length from unnest(%s::bytea[], %s::bigint[], %s::integer[]) as block(cid, place, length)
on conflict (cid, asset_id) do nothing"""
INSERT_PACKAGE: LiteralString = """
insert into packages (asset_id, collection_id, path, is_published) values (%s, %s, %s, %s)
on conflict (asset_id) do nothing"""
SELECT_IS_LISTED: LiteralString = "select 1 from packages where asset_id = %s"
SELECT_FILE_OF_BLOCK: LiteralString = """
select p.asset_id, p.path, b.place, b.length
from package_blocks b
join packages p on p.asset_id = b.asset_id and p.is_published
join published_collections c on c.collection_id = p.collection_id and not c.is_archived
where b.cid = %s
order by b.asset_id limit 1"""
SELECT_BLOCKS_OF_FILE: LiteralString = """
select cid, place, length from package_blocks where asset_id = %s and cid = any(%s)"""


class Place(NamedTuple):
    """Where a block's bytes are in its file."""

    offset: int
    length: int


class PackageFile(NamedTuple):
    """A package's CAR file, and where one block is in it."""

    asset_id: int
    path: str
    place: Place


class BlockList:
    """The blocks of one package; memory holds 48 bytes of each."""

    def __init__(self) -> None:
        self._cids = bytearray()
        self._offsets, self._lengths = array("q"), array("i")

    def add(self, frames: Iterable[Frame]) -> None:
        """Adds blocks in the order of the file."""
        for frame in frames:
            self._cids += frame.cid.encoded
            self._offsets.append(frame.place)
            self._lengths.append(frame.length)

    def batch(self, first: int) -> tuple[list[bytes], list[int], list[int]]:
        """CIDs, offsets and lengths of up to BATCH blocks from number `first` on, which counts from 0."""
        numbers = range(first, min(first + BATCH, len(self)))
        cids = [bytes(self._cids[number * LENGTH : (number + 1) * LENGTH]) for number in numbers]
        return cids, self._offsets[first : first + BATCH].tolist(), self._lengths[first : first + BATCH].tolist()

    def __len__(self) -> int:
        return len(self._offsets)


class PackageBlocks:
    """Its methods raise StoreUnavailable, or psycopg's OperationalError for writes."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def record(self, asset_id: int, collection_id: UUID, path: str, blocks: BlockList | None) -> None:
        """Records a package's file and its blocks; None for a draft's package. Idempotent."""
        for first in range(0, len(blocks or ()), BATCH):
            assert blocks is not None, "there are blocks to be written"
            async with self._store.pool.connection() as connection:
                await connection.execute(INSERT_BLOCKS, (asset_id, *blocks.batch(first)))
        async with self._store.pool.connection() as connection:
            await connection.execute(INSERT_PACKAGE, (asset_id, collection_id, path, blocks is not None))

    async def is_listed(self, asset_id: int) -> bool:
        """Whether a package was recorded here."""
        return bool(await self._store.pool.rows(SELECT_IS_LISTED, (asset_id,)))

    async def file_of(self, cid: Cid) -> PackageFile | None:
        """A package that has this block, of a collection that is published and not archived; None if there is none."""
        rows = await self._store.pool.rows(SELECT_FILE_OF_BLOCK, (cid.encoded,))
        return next((PackageFile(asset_id, path, Place(*place)) for asset_id, path, *place in rows), None)

    async def places(self, asset_id: int, cids: Sequence[Cid]) -> dict[Cid, Place]:
        """Where these blocks are in a package's file."""
        rows = await self._store.pool.rows(SELECT_BLOCKS_OF_FILE, (asset_id, [cid.encoded for cid in cids]))
        return {Cid.read(bytes(cid)): Place(*place) for cid, *place in rows}
