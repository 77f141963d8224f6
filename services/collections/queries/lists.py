"""Lists of projects and collections, from the read tables."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import LiteralString, NamedTuple
from uuid import UUID

from services.collections.deciders import PROJECT
from services.collections.domain.project import owned
from services.collections.projections.collections import CollectionRow
from services.collections.projections.projects import ProjectRow
from services.collections.views.collection import CollectionSummary, collection_summary
from services.collections.views.feed import FeedItem, FeedRow, feed_item
from services.collections.views.project import ProjectView, project_view
from services.collections.views.public import PublicCollection, public_collection
from shared.eventstore import EventStore
from shared.http import Page, decode_cursor, next_cursor


class TimeCursor(NamedTuple):
    """A page cursor: the time that the list is ordered by, and an id to order rows of the same time."""

    time: datetime
    id: UUID


FIRST = TimeCursor(datetime.min.replace(tzinfo=UTC), UUID(int=0))
LAST = TimeCursor(datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))

# Oldest first, so that the default project, usually the first one, stays the first.
SELECT_PROJECTS_OF_USER: LiteralString = """
select id, user_id, name, is_default, current_collection_id, created_at from projects_v1
where user_id = %s
  and (created_at, id) > (%s, %s)
order by created_at, id limit %s"""

COUNT_UNTITLED_PROJECTS: LiteralString = """
select count(*) from projects_v1 where user_id = %s and name ~ '^Untitled( [0-9]+)?$'"""

# `*` is the columns of CollectionRow in its order, so they are listed in its module only. A test compares the two.
SELECT_COLLECTIONS_OF_PROJECT: LiteralString = """
select * from collections_v8
where project_id = %s and archived = %s
  and (created_at, id) < (%s, %s)
order by created_at desc, id desc limit %s"""

SELECT_COLLECTIONS_OF_PROJECT_IN_STATUS: LiteralString = """
select * from collections_v8
where project_id = %s and archived = %s and status = %s
  and (created_at, id) < (%s, %s)
order by created_at desc, id desc limit %s"""

SELECT_PUBLISHED: LiteralString = """
select * from collections_v8
where status = 'published' and not archived
  and (publish_date, id) < (%s, %s)
order by publish_date desc, id desc limit %s"""

SELECT_PUBLISHED_ON_CHAIN: LiteralString = """
select * from collections_v8
where status = 'published' and not archived and blockchain = %s
  and (publish_date, id) < (%s, %s)
order by publish_date desc, id desc limit %s"""

# Collections with an enabled preview.
SELECT_FEED: LiteralString = """
select c.id, c.user_id, c.title, c.description, c.preview_is_remixable, c.preview_max_generations, c.preview_paid_by,
       c.cover_image_url, c.images, c.created_at, c.updated_at, p.name, i.data
from collections_v8 c join projects_v1 p on p.id = c.project_id join instructions_v1 i on i.collection_id = c.id
where c.preview_enabled and not c.archived and (c.created_at, c.id) < (%s, %s)
order by c.created_at desc, c.id desc limit %s"""


@dataclass(frozen=True)
class ListQueries:
    store: EventStore

    async def projects(self, user_id: UUID, limit: int, cursor: str | None) -> Page[ProjectView]:
        """The user's projects, oldest first."""
        start = decode_cursor(cursor, TimeCursor) if cursor else FIRST
        records = await self.store.pool.rows(SELECT_PROJECTS_OF_USER, (user_id, *start, limit + 1))
        rows = [ProjectRow(*record) for record in records]
        views = [project_view(row) for row in rows[:limit]]
        return Page(views, next_cursor(rows, limit, _cursor))

    async def untitled_projects(self, user_id: UUID) -> int:
        """How many untitled projects of the user's the read table has."""
        ((count,),) = await self.store.pool.rows(COUNT_UNTITLED_PROJECTS, (user_id,))
        return int(count)

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
        # Possibly stale, which is enough: a project's owner never changes.
        project = self.store.cached(PROJECT, project_id) or await self.store.load(PROJECT, project_id)
        owned(project.state, user_id)
        start = decode_cursor(cursor, TimeCursor) if cursor else LAST
        if status is None:
            rows = await self._rows(SELECT_COLLECTIONS_OF_PROJECT, project_id, archived, *start, limit + 1)
        else:
            query = SELECT_COLLECTIONS_OF_PROJECT_IN_STATUS
            rows = await self._rows(query, project_id, archived, status, *start, limit + 1)
        summaries = [collection_summary(row) for row in rows[:limit]]
        return Page(summaries, next_cursor(rows, limit, _cursor))

    async def published_collections(
        self, limit: int, cursor: str | None, blockchain: str | None = None
    ) -> Page[PublicCollection]:
        """Published collections of all users, on one chain or on all, last published first."""
        start = decode_cursor(cursor, TimeCursor) if cursor else LAST
        if blockchain is None:
            rows = await self._rows(SELECT_PUBLISHED, *start, limit + 1)
        else:
            rows = await self._rows(SELECT_PUBLISHED_ON_CHAIN, blockchain, *start, limit + 1)
        collections = [public_collection(collection_summary(row)) for row in rows[:limit]]
        return Page(collections, next_cursor(rows, limit, _cursor_by_publish_date))

    async def feed(self, limit: int, cursor: str | None) -> Page[FeedItem]:
        """Collections with an open preview, newest first."""
        start = decode_cursor(cursor, TimeCursor) if cursor else LAST
        records = await self.store.pool.rows(SELECT_FEED, (*start, limit + 1))
        items = [feed_item(FeedRow(*record)) for record in records]
        return Page(items[:limit], next_cursor(items, limit, _cursor))

    async def _rows(self, query: LiteralString, *parameters: object) -> list[CollectionRow]:
        return [CollectionRow(*record) for record in await self.store.pool.rows(query, parameters)]


def _cursor(item: ProjectRow | CollectionRow | FeedItem) -> TimeCursor:
    return TimeCursor(item.created_at, item.id)


def _cursor_by_publish_date(row: CollectionRow) -> TimeCursor:
    return TimeCursor(row.publish_date or row.created_at, row.id)
