"""The list of a collection's tokens: the same that its metadata and its package have."""

from dataclasses import dataclass
from operator import attrgetter
from uuid import UUID

from services.collections.queries.metadata import MetadataQueries
from services.collections.queries.token import TokenQueries
from services.collections.views.series import TokenPage, token_view
from shared.http import cursor_number, next_cursor


@dataclass(frozen=True)
class TokenListQueries:
    metadata_queries: MetadataQueries
    token_queries: TokenQueries

    async def tokens(self, reader: UUID | None, collection_id: UUID, limit: int, cursor: str | None) -> TokenPage:
        """Of a collection that is published or the reader's own. Raises NOT_FOUND, UNAVAILABLE."""
        state = await self.metadata_queries.visible(reader, collection_id)
        series = await self.token_queries.series(state)
        if series is None:
            return TokenPage(data=[], count=0, job_id=None)
        after = max(cursor_number(cursor, 0), 0)
        tokens = await self.token_queries.tokens(series, after=after, limit=limit + 1)
        return TokenPage(
            data=[token_view(token) for token in tokens[:limit]],
            count=series.tokens,
            job_id=series.job_id,
            next_cursor=next_cursor(tokens, limit, attrgetter("number")),
        )
