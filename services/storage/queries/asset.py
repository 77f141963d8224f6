"""Queries of stored files."""

from dataclasses import dataclass
from uuid import UUID

from services.storage.domain.asset import asset_stream
from services.storage.handlers.asset import StoredFile
from services.storage.projections.assets import ASSETS, AssetRow, row_of
from services.storage.queries.asset_filter import AssetFilter
from shared.contracts.problem import not_found
from shared.eventstore import EventStore
from shared.projections import Projector
from shared.projections.pending_rows import row_with_pending_events

SELECT_ASSET = """
select asset_id, user_id, name, path, mime_type, size, sha256, job_id, gid, sid, collection_id, component_id,
       cid, gen_in_data, gen_out_data, created_at
from assets_v3 where asset_id = %s"""
SELECT_ASSETS_OF_USER = """
select asset_id, user_id, name, path, mime_type, size, sha256, job_id, gid, sid, collection_id, component_id,
       cid, gen_in_data, gen_out_data, created_at
from assets_v3
where user_id = %(user_id)s and asset_id < %(below)s
  and path not like 'renditions/%%'
  and (%(job_id)s::uuid is null or job_id = %(job_id)s)
  and (%(collection_id)s::uuid is null or collection_id = %(collection_id)s)
  and (%(component_id)s::bigint is null or component_id = %(component_id)s)
  and (%(essence)s::text is null or split_part(mime_type, ';', 1) = %(essence)s)
  and (%(family)s::text is null or starts_with(mime_type, %(family)s))
  and (%(since)s::timestamptz is null or created_at >= %(since)s)
order by asset_id desc limit %(limit)s"""


@dataclass(frozen=True)
class Queries:
    """Each raises UNAVAILABLE while PostgreSQL can't be reached."""

    store: EventStore
    projector: Projector

    async def asset(self, asset_id: int) -> AssetRow | None:
        """An asset of any user, or None. Independent of how far the read table is, since workers read files by it."""

        async def read() -> AssetRow | None:
            async with self.store.reader() as cursor:
                await cursor.execute(SELECT_ASSET, (asset_id,))
                row = await cursor.fetchone()
            return AssetRow(*row) if row else None

        return await row_with_pending_events(self.store, ASSETS, (asset_id,), read)

    async def asset_of(self, asset_id: int, user_id: UUID) -> AssetRow:
        """A user's own asset. Raises NOT_FOUND for any other, whether it exists or not."""
        row = await self.asset(asset_id)
        if row is None or row.user_id != user_id:
            raise not_found(f"Asset {asset_id}")
        return row

    async def assets_of_user(self, user_id: UUID, chosen: AssetFilter, *, below: int, limit: int) -> list[AssetRow]:
        """A user's assets with ids below `below`, newest first; `limit` at most. Not the smaller copies of images."""
        parameters = {"user_id": user_id, "below": below, "limit": limit, **chosen.parameters()}
        async with self.store.reader() as cursor:
            await cursor.execute(SELECT_ASSETS_OF_USER, parameters)
            return [AssetRow(*row) for row in await cursor.fetchall()]

    async def after(self, stored: StoredFile) -> AssetRow:
        """The asset after a write; from its event if the read table is too far behind."""
        is_caught_up = await self.projector.caught_up(stored.position)
        event = stored.asset.stored
        row = await self.asset(event.asset_id) if is_caught_up else None
        if row is None:
            history = await self.store.read_stream(asset_stream(event.path), limit=1)
            row = row_of(event, history[0].recorded_at)
        return row
