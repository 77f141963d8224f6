"""The files that components made, from their read table."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, LiteralString, NamedTuple
from uuid import UUID

import msgspec

from services.collections.domain.package.contents import StoredFile
from services.collections.projections.component_assets import ComponentAssetRow
from services.collections.queries.collection import Queries
from services.collections.views.component_asset import ComponentAssetView, component_asset_view
from shared.contracts.problem import Detail, Problem, invalid, not_found
from shared.contracts.sizes import KIB
from shared.eventstore import EventStore
from shared.http import Page, decode_cursor, encode_cursor

SELECT_INPUT_OF_ASSET: LiteralString = (
    "select gen_in_data from component_assets_v4 where asset_id = %s and user_id = %s"
)

# A page ends before the asset that would take it over PAGE_BYTES, but has at least one: gen_in_data may have
# hundreds of kilobytes. PostgreSQL gets the length of a large text without reading it.
SELECT_ASSETS_OF_COMPONENT: LiteralString = """
select asset_id, user_id, collection_id, component_id, job_id, gid, name, path, mime_type, sha256, gen_in_data,
       gen_out_data, created_at, cid, size, row_count
from (
  select page.*, count(*) over () as row_count, row_number() over newest as number,
         sum(coalesce(octet_length(gen_in_data), 0) + coalesce(octet_length(gen_out_data), 0)) over newest as upto
  from (
    select * from component_assets_v4
    where collection_id = %s and component_id = %s and (created_at, asset_id) < (%s, %s)
    order by created_at desc, asset_id desc limit %s
  ) page
  window newest as (order by created_at desc, asset_id desc)
) counted
where upto <= %s or number = 1
order by created_at desc, asset_id desc"""

SELECT_FILES_OF_COLLECTION: LiteralString = """
select asset_id, path, mime_type, size, sha256, cid from component_assets_v4
where collection_id = %s and asset_id = any(%s)"""

PAGE_BYTES = 1024 * KIB
"""Bound on the bytes of `gen_in_data` and `gen_out_data` on a page of assets."""


class AssetCursor(NamedTuple):
    """A page cursor: assets are listed by time, and by id at the same time."""

    time: datetime
    asset_id: int


FIRST_ASSET = AssetCursor(datetime.max.replace(tzinfo=UTC), 2**63 - 1)


@dataclass(frozen=True)
class ComponentAssetQueries:
    store: EventStore
    collections: Queries

    async def input_of_asset(self, user_id: UUID, asset_id: int) -> dict[str, Any]:
        """The GenerationInput that made the user's file.

        Raises NOT_FOUND, CONFLICT until its generation has ended, and VALIDATION_FAILED for a preview of a collection
        that others may not remix: to create a collection from its file would be a remix.
        """
        rows = await self.store.pool.rows(SELECT_INPUT_OF_ASSET, (asset_id, user_id))
        if not rows:
            raise not_found("An asset with this id that a collection's generation made")
        ((text,),) = rows
        if text is None:
            raise Problem("CONFLICT", "The input of this asset is not known yet: its generation has not ended")
        data: dict[str, Any] = msgspec.json.decode(text)
        if not data:
            message = "is a preview of a collection that is not remixable"
            raise invalid(f"The asset {message}", Detail("?asset_id", message))
        return data

    async def assets_of_component(
        self, user_id: UUID, collection_id: UUID, component_id: int, limit: int, cursor: str | None
    ) -> Page[ComponentAssetView]:
        """Newest first. Raises NOT_FOUND for a collection that is not the user's."""
        await self.collections.owned_collection(user_id, collection_id)
        start = decode_cursor(cursor, AssetCursor) if cursor else FIRST_ASSET
        parameters = (collection_id, component_id, *start, limit + 1, PAGE_BYTES)
        records = await self.store.pool.rows(SELECT_ASSETS_OF_COMPONENT, parameters)
        rows = [ComponentAssetRow(*record[:-1]) for record in records[:limit]]
        has_more = bool(records) and records[0][-1] > len(rows)
        next_cursor = encode_cursor(AssetCursor(rows[-1].created_at, rows[-1].asset_id)) if has_more else None
        return Page([component_asset_view(row) for row in rows], next_cursor)

    async def stored_files(self, collection_id: UUID, asset_ids: Sequence[int]) -> dict[int, StoredFile]:
        """Those of the files that storage has reported for the collection, by asset id."""
        rows = await self.store.pool.rows(SELECT_FILES_OF_COLLECTION, (collection_id, list(asset_ids)))
        return {row[0]: StoredFile(*row) for row in rows}
