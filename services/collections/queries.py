"""Queries: lists from the read tables, and single collections from their state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from services.collections.deciders import COLLECTION, PROJECT
from services.collections.domain.collection.state import Collection
from services.collections.domain.project import NOTHING, Project, owned
from services.collections.projections.collections import CollectionRow
from services.collections.projections.component_assets import ComponentAssetRow
from services.collections.projections.projects import ProjectRow
from services.collections.views import (
    CollectionSummary,
    CollectionView,
    ComponentAssetView,
    FeedItem,
    FeedRow,
    HistoryEntry,
    ProjectView,
    collection_summary,
    collection_view,
    component_asset_view,
    feed_item,
    history_entry,
    project_view,
)
from shared.contracts.problem import Problem, not_found
from shared.contracts.sizes import KIB
from shared.eventstore import EventStore, Handled, Loaded
from shared.http import Page, cursor_number, decode_cursor, encode_cursor, next_cursor


class Place(NamedTuple):
    """A page cursor: the time that the list is ordered by, and an id to order rows of the same time."""

    time: datetime
    id: UUID


class AssetPlace(NamedTuple):
    time: datetime
    asset_id: int


FIRST = Place(datetime.min.replace(tzinfo=UTC), UUID(int=0))
LAST = Place(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))

# Oldest first, so that the default project, usually the first one, keeps its place.
SELECT_PROJECTS_OF_USER = """
select id, user_id, name, is_default, current_collection_id, created_at from projects_v1
where user_id = %s
  and (created_at, id) > (%s, %s)
order by created_at, id limit %s"""

COUNT_UNTITLED_PROJECTS = "select count(*) from projects_v1 where user_id = %s and name ~ '^Untitled( [0-9]+)?$'"

SELECT_COLLECTIONS_OF_PROJECT = """
select id, project_id, user_id, title, description, status, archived, is_current, blockchain, editions, price,
       batch_mint_enabled, batch_max_tokens, encryption_enabled, cover_image_url, images, scheduled_for,
       publish_date, receivers, preview_enabled, preview_max_generations, preview_is_remixable, forked_from, social_org,
       social_identifier, created_at, updated_at, version
from collections_v4
where project_id = %s and archived = %s
  and (created_at, id) < (%s, %s)
order by created_at desc, id desc limit %s"""

SELECT_COLLECTIONS_OF_PROJECT_IN_STATUS = """
select id, project_id, user_id, title, description, status, archived, is_current, blockchain, editions, price,
       batch_mint_enabled, batch_max_tokens, encryption_enabled, cover_image_url, images, scheduled_for,
       publish_date, receivers, preview_enabled, preview_max_generations, preview_is_remixable, forked_from, social_org,
       social_identifier, created_at, updated_at, version
from collections_v4
where project_id = %s and archived = %s and status = %s
  and (created_at, id) < (%s, %s)
order by created_at desc, id desc limit %s"""

SELECT_PUBLISHED = """
select id, project_id, user_id, title, description, status, archived, is_current, blockchain, editions, price,
       batch_mint_enabled, batch_max_tokens, encryption_enabled, cover_image_url, images, scheduled_for,
       publish_date, receivers, preview_enabled, preview_max_generations, preview_is_remixable, forked_from, social_org,
       social_identifier, created_at, updated_at, version
from collections_v4
where status = 'published' and not archived
  and (publish_date, id) < (%s, %s)
order by publish_date desc, id desc limit %s"""

SELECT_PUBLISHED_ON_CHAIN = """
select id, project_id, user_id, title, description, status, archived, is_current, blockchain, editions, price,
       batch_mint_enabled, batch_max_tokens, encryption_enabled, cover_image_url, images, scheduled_for,
       publish_date, receivers, preview_enabled, preview_max_generations, preview_is_remixable, forked_from, social_org,
       social_identifier, created_at, updated_at, version
from collections_v4
where status = 'published' and not archived and blockchain = %s
  and (publish_date, id) < (%s, %s)
order by publish_date desc, id desc limit %s"""

# Collections with an enabled preview.
SELECT_FEED = """
select c.id, c.user_id, c.title, c.description, c.preview_is_remixable, c.preview_max_generations, c.cover_image_url,
       c.images, c.created_at, c.updated_at, p.name, i.data
from collections_v4 c join projects_v1 p on p.id = c.project_id join instructions_v1 i on i.collection_id = c.id
where c.preview_enabled and not c.archived and (c.created_at, c.id) < (%s, %s)
order by c.created_at desc, c.id desc limit %s"""

SELECT_INPUT_OF_ASSET = "select gen_in_data from component_assets_v4 where asset_id = %s and user_id = %s"

# A page ends before the asset that would take it over PAGE_BYTES, but has at least one: gen_in_data may have
# hundreds of kilobytes. PostgreSQL gets the length of a large text without reading it.
SELECT_ASSETS_OF_COMPONENT = """
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
PAGE_BYTES = 1024 * KIB
"""Bound on the bytes of `gen_in_data` and `gen_out_data` on a page of assets."""


@dataclass(frozen=True)
class Queries:
    store: EventStore

    async def projects(self, user_id: UUID, limit: int, cursor: str | None) -> Page[ProjectView]:
        place = decode_cursor(cursor, Place) if cursor else FIRST
        rows = [ProjectRow(*row) for row in await self._all(SELECT_PROJECTS_OF_USER, user_id, *place, limit + 1)]
        views = [project_view(row) for row in rows[:limit]]
        return Page(views, _next([Place(row.created_at, row.id) for row in rows], limit))

    async def untitled_projects(self, user_id: UUID) -> int:
        row = await self._one(COUNT_UNTITLED_PROJECTS, user_id)
        return int(row[0]) if row else 0

    async def collection(self, collection_id: UUID) -> CollectionView | None:
        """A collection in full, without access checks, or None. From its state, so a client reads its own writes."""
        cached = self.store.cached(COLLECTION, collection_id)
        if cached is None or cached.state.project_id is None:
            loaded = await self.store.load(COLLECTION, collection_id)
            return _view(loaded, await self._project_of(loaded)) if loaded.version else None
        loaded, folder = await self.store.load_both(COLLECTION, collection_id, PROJECT, cached.state.project_id)
        if folder.state.project_id != loaded.state.project_id:  # its custody was transferred meanwhile
            folder = await self._project_of(loaded)
        return _view(loaded, folder)

    async def after(self, done: Handled[Collection]) -> CollectionView:
        """The collection after a command."""
        loaded = Loaded(done.state, done.version, done.position, done.recorded_at, began_at=done.began_at)
        is_new = len(done.events) == done.version
        return _view(loaded, Loaded(NOTHING, 0) if is_new else await self._project_of(loaded))

    async def _project_of(self, loaded: Loaded[Collection]) -> Loaded[Project]:
        assert loaded.state.project_id is not None, "a collection is created in a project"
        return await self.store.load(PROJECT, loaded.state.project_id)

    async def collection_for(self, reader: UUID, collection_id: UUID) -> CollectionView:
        """A collection as `reader` may see it: in full for its owner, without `data` for others if it is public.

        Raises NOT_FOUND otherwise.
        """
        collection = await self.collection(collection_id)
        if collection is None or (collection.user_id != reader and not _is_public(collection)):
            raise not_found("The collection")
        return collection if collection.user_id == reader else msgspec.structs.replace(collection, data=None)

    async def collection_as_of(self, user_id: UUID, collection_id: UUID, as_of: int | datetime) -> CollectionView:
        """The user's collection at a past version or time. Raises NOT_FOUND, also for a time before it existed."""
        now = await self.owned_collection(user_id, collection_id)
        then = await self.store.load(COLLECTION, collection_id, as_of=as_of)
        if then.recorded_at is None:
            raise not_found("The collection at that version or time")
        return collection_view(then.state, then.version, created_at=now.created_at, updated_at=then.recorded_at)

    async def history(self, user_id: UUID, collection_id: UUID, limit: int, cursor: str | None) -> Page[HistoryEntry]:
        """The history of the user's collection, oldest first. Raises NOT_FOUND."""
        await self.owned_collection(user_id, collection_id)
        after = cursor_number(cursor, 0)
        recorded = await self.store.read_stream(collection_id, after=after, limit=limit + 1)
        more = next_cursor(recorded, limit, attrgetter("version"))
        return Page([history_entry(event) for event in recorded[:limit]], more)

    async def owned_collection(self, user_id: UUID, collection_id: UUID) -> CollectionView:
        """A collection of the user's. Raises NOT_FOUND."""
        collection = await self.collection(collection_id)
        if collection is None or collection.user_id != user_id:
            raise not_found("The collection")
        return collection

    async def public_collection(self, collection_id: UUID) -> CollectionView:
        """A collection that is published or has an open preview, without `data`. Raises NOT_FOUND otherwise."""
        collection = await self.collection(collection_id)
        if collection is None or not _is_public(collection):
            raise not_found("The collection")
        return msgspec.structs.replace(collection, data=None)

    async def current_collection(self, user_id: UUID, project_id: UUID) -> CollectionView:
        """The current collection of the user's project. Raises NOT_FOUND, also if none is chosen."""
        folder = (await self.store.load(PROJECT, project_id)).state
        owned(folder, user_id)
        if folder.current_collection_id is None:
            raise not_found("A current collection of this project")
        return await self.collection_for(user_id, folder.current_collection_id)

    async def collections_of_project(
        self,
        user_id: UUID,
        project_id: UUID,
        limit: int,
        cursor: str | None,
        *,
        archived: bool = False,
        status: str | None = None,
    ) -> Page[CollectionSummary]:
        """Newest first, of one status or of all. Raises NOT_FOUND for a project that is not the user's."""
        known = self.store.cached(PROJECT, project_id) or await self.store.load(PROJECT, project_id)
        owned(known.state, user_id)
        place = decode_cursor(cursor, Place) if cursor else LAST
        if status is None:
            records = await self._all(SELECT_COLLECTIONS_OF_PROJECT, project_id, archived, *place, limit + 1)
        else:
            query = SELECT_COLLECTIONS_OF_PROJECT_IN_STATUS
            records = await self._all(query, project_id, archived, status, *place, limit + 1)
        rows = [CollectionRow(*record) for record in records]
        summaries = [collection_summary(row) for row in rows[:limit]]
        return Page(summaries, _next([Place(row.created_at, row.id) for row in rows], limit))

    async def published_collections(
        self, limit: int, cursor: str | None, blockchain: str | None = None
    ) -> Page[CollectionSummary]:
        """Published collections of all users, on one chain or on all, last published first."""
        place = decode_cursor(cursor, Place) if cursor else LAST
        if blockchain is None:
            records = await self._all(SELECT_PUBLISHED, *place, limit + 1)
        else:
            records = await self._all(SELECT_PUBLISHED_ON_CHAIN, blockchain, *place, limit + 1)
        rows = [CollectionRow(*record) for record in records]
        summaries = [collection_summary(row) for row in rows[:limit]]
        return Page(summaries, _next([Place(row.publish_date or row.created_at, row.id) for row in rows], limit))

    async def feed(self, limit: int, cursor: str | None) -> Page[FeedItem]:
        """Collections with an open preview, newest first."""
        place = decode_cursor(cursor, Place) if cursor else LAST
        items = [feed_item(FeedRow(*row)) for row in await self._all(SELECT_FEED, *place, limit + 1)]
        return Page(items[:limit], _next([Place(item.created_at, item.id) for item in items], limit))

    async def input_of_asset(self, user_id: UUID, asset_id: int) -> dict[str, Any]:
        """The GenerationInput that made the user's file. Raises NOT_FOUND, CONFLICT until its generation has ended."""
        row = await self._one(SELECT_INPUT_OF_ASSET, asset_id, user_id)
        if row is None:
            raise not_found("An asset with this id that a collection's generation made")
        if row[0] is None:
            raise Problem("CONFLICT", "The input of this asset is not known yet: its generation has not ended")
        data: dict[str, Any] = msgspec.json.decode(row[0])
        return data

    async def assets_of_component(
        self, user_id: UUID, collection_id: UUID, component_id: int, limit: int, cursor: str | None
    ) -> Page[ComponentAssetView]:
        """Newest first. Raises NOT_FOUND for a collection that is not the user's."""
        await self.owned_collection(user_id, collection_id)
        place = decode_cursor(cursor, AssetPlace) if cursor else AssetPlace(LAST.time, 2**63 - 1)
        parameters = (collection_id, component_id, *place, limit + 1, PAGE_BYTES)
        records = await self._all(SELECT_ASSETS_OF_COMPONENT, *parameters)
        rows = [ComponentAssetRow(*record[:-1]) for record in records[:limit]]
        more = bool(records) and records[0][-1] > len(rows)
        next_cursor = encode_cursor(AssetPlace(rows[-1].created_at, rows[-1].asset_id)) if more else None
        return Page([component_asset_view(row) for row in rows], next_cursor)

    async def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        async with self.store.reader() as cursor:
            await cursor.execute(query.encode(), values)
            return await cursor.fetchone()

    async def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        async with self.store.reader() as cursor:
            await cursor.execute(query.encode(), values)
            return await cursor.fetchall()


def _next(places: Sequence[Place], limit: int) -> str | None:
    """The cursor of the next page, or None if there are no more than `limit` places."""
    return encode_cursor(places[limit - 1]) if len(places) > limit else None


def _view(loaded: Loaded[Collection], folder: Loaded[Project]) -> CollectionView:
    assert loaded.began_at is not None, "a collection that was written has events"
    assert loaded.recorded_at is not None, "a collection that was written has events"
    is_current = loaded.state.collection_id == folder.state.current_collection_id
    return collection_view(
        loaded.state,
        loaded.version,
        created_at=loaded.began_at,
        updated_at=loaded.recorded_at,
        is_current=is_current,
    )


def _is_public(collection: CollectionSummary) -> bool:
    return (collection.status == "published" or collection.preview.enabled) and not collection.archived
