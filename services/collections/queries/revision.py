"""Queries of the revisions of what is public of a collection."""

from dataclasses import dataclass
from operator import attrgetter
from typing import LiteralString
from uuid import UUID

from services.collections.queries.metadata import MetadataQueries
from services.collections.views.revision import RevisionView
from shared.eventstore import EventStore
from shared.http import Page, cursor_number, next_cursor

BEYOND = 2**53
"""More than any revision's number."""

SELECT_REVISIONS: LiteralString = """
select number, at, changes from revisions_v1
where collection_id = %s and number < %s
order by number desc limit %s"""


@dataclass(frozen=True)
class RevisionQueries:
    store: EventStore
    metadata_queries: MetadataQueries

    async def revisions(
        self, reader: UUID | None, collection_id: UUID, limit: int, cursor: str | None
    ) -> Page[RevisionView]:
        """Of a collection that is published or the reader's own, newest first. Raises NOT_FOUND."""
        await self.metadata_queries.visible(reader, collection_id)
        before = cursor_number(cursor, BEYOND)
        rows = await self.store.pool.rows(SELECT_REVISIONS, (collection_id, before, limit + 1))
        views = [RevisionView(*row) for row in rows]
        return Page(views[:limit], next_cursor(views, limit, attrgetter("revision")))
