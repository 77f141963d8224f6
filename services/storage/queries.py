"""Queries of stored files."""

from uuid import UUID

from services.storage.projections.assets import ASSETS, AssetRow
from shared.contracts.problem import not_found
from shared.eventstore import EventStore
from shared.projections.pending_rows import row_with_pending_events

SELECT_ASSET = """
select asset_id, user_id, name, path, mime_type, size, sha256, job_id, gid, sid, collection_id, component_id,
       cid, gen_in_data, gen_out_data, created_at
from assets_v3 where asset_id = %b"""
SELECT_ASSETS_OF_USER = """
select asset_id, user_id, name, path, mime_type, size, sha256, job_id, gid, sid, collection_id, component_id,
       cid, gen_in_data, gen_out_data, created_at
from assets_v3
where user_id = %b and asset_id < %b
  and (%b::uuid is null or job_id = %b::uuid) and (%b::uuid is null or collection_id = %b::uuid)
order by asset_id desc limit %b"""


async def asset(store: EventStore, asset_id: int) -> AssetRow | None:
    """An asset of any user, or None. Independent of how far the read table is, since workers read files by it.

    Raises UNAVAILABLE.
    """

    async def read() -> AssetRow | None:
        async with store.reader() as cursor:
            await cursor.execute(SELECT_ASSET, (asset_id,))
            row = await cursor.fetchone()
        return AssetRow(*row) if row else None

    return await row_with_pending_events(store, ASSETS, (asset_id,), read)


async def asset_of(store: EventStore, asset_id: int, user_id: UUID) -> AssetRow:
    """A user's own asset. Raises NOT_FOUND for any other, whether it exists or not."""
    row = await asset(store, asset_id)
    if row is None or row.user_id != user_id:
        raise not_found(f"Asset {asset_id}")
    return row


async def assets_of_user(
    store: EventStore, user_id: UUID, *, below: int, limit: int, job_id: UUID | None, collection_id: UUID | None
) -> list[AssetRow]:
    """A user's assets with ids below `below`, newest first; `limit` at most."""
    async with store.reader() as cursor:
        await cursor.execute(
            SELECT_ASSETS_OF_USER, (user_id, below, job_id, job_id, collection_id, collection_id, limit)
        )
        return [AssetRow(*row) for row in await cursor.fetchall()]
