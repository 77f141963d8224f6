"""Rows → answers: who has made previews of a collection, and how many."""

from typing import LiteralString
from uuid import UUID

from services.generation.deciders import SOURCE
from services.generation.views.preview import PreviewTotals, VisitorView
from shared.contracts.problem import not_found
from shared.eventstore import EventStore

SELECT_VISITORS: LiteralString = """
select visitor_id, count(*), count(*) filter (where is_open), sum(generations)::bigint, max(requested_at)
from previews_v1 where collection_id = %s and visitor_id > %s
group by visitor_id order by visitor_id limit %s"""
SELECT_TOTALS: LiteralString = """
select count(distinct visitor_id), count(*), count(*) filter (where is_open), coalesce(sum(generations), 0)::bigint
from previews_v1 where collection_id = %s"""


class PreviewQueries:
    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def refuse_others(self, collection_id: UUID, user_id: UUID | None) -> None:
        """Raises NOT_FOUND unless the collection is this user's. None: an operator, who may read every collection's."""
        source = await self._store.load(SOURCE, collection_id)
        if not source.version or user_id not in (None, source.state.user_id):
            raise not_found("The collection")

    async def visitors(self, collection_id: UUID, *, after: UUID, limit: int) -> list[VisitorView]:
        """Those with greater ids than `after`, in the order of their ids."""
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_VISITORS, (collection_id, after, limit))
            return [VisitorView(*row) for row in await cursor.fetchall()]

    async def totals(self, collection_id: UUID) -> PreviewTotals:
        """Takes time in proportion to the number of the collection's previews."""
        async with self._store.reader() as cursor:
            await cursor.execute(SELECT_TOTALS, (collection_id,))
            row = await cursor.fetchone()
        assert row is not None, "an aggregate has one row"
        return PreviewTotals(*row)
