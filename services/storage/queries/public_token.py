"""The files of published tokens, which anybody may read."""

from dataclasses import dataclass
from typing import Literal, LiteralString, NamedTuple
from uuid import UUID

from services.storage.projections.assets import AssetRow
from services.storage.queries.asset import Queries
from shared.contracts.problem import not_found

FileKind = Literal["image", "animation", "thumbnail"]

SELECT_PUBLIC_FILES: LiteralString = """
select f.gid, f.job_id, f.artwork_id, f.image_id, case when c.has_renditions then r.thumbnail_id end,
       c.has_renditions and r.asset_id is null
from published_collections c
join published_tokens t on t.collection_id = c.collection_id and t.number <= c.tokens
join generation_files_v1 f on f.gid = t.gid and f.job_id = c.job_id
left join renditions_v1 r on r.asset_id = f.image_id
where c.collection_id = %s and t.number = %s and not c.is_archived"""


class TokenFile(NamedTuple):
    """`is_final`: it never changes. The image is not, in place of a thumbnail that is being made."""

    row: AssetRow
    is_final: bool = True


@dataclass(frozen=True)
class PublicTokenQueries:
    queries: Queries

    async def file(self, collection_id: UUID, number: int, kind: FileKind) -> TokenFile:
        """A file of a token of a collection that is published and not archived. Raises NOT_FOUND, UNAVAILABLE.

        The animation is the artwork if that is no image; the image then is one that represents it, and the thumbnail is
        the image.
        """
        rows = await self.queries.store.pool.rows(SELECT_PUBLIC_FILES, (collection_id, min(number, 2**63 - 1)))
        if not rows:
            raise not_found(f"Token {number} of a published collection")
        ((gid, job_id, artwork_id, image_id, thumbnail_id, is_awaited),) = rows
        asset_id = _animation(artwork_id, image_id) if kind == "animation" else image_id
        row = await self.queries.asset(asset_id) if asset_id is not None else None
        # A worker names the files of its result: only the generation's own are shown.
        if row is None or (row.job_id, row.gid) != (job_id, gid):
            raise not_found(f"The {kind} of token {number}")
        if kind != "thumbnail":
            return TokenFile(row)
        copy = None if thumbnail_id is None else await self.queries.asset(thumbnail_id)
        return TokenFile(copy or row, is_final=not is_awaited)


def _animation(artwork_id: int | None, image_id: int | None) -> int | None:
    return artwork_id if artwork_id != image_id else None
