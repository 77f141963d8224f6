"""What visitors have made of a collection, for its owner."""

from operator import attrgetter
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency

from services.generation.queries.preview import PreviewQueries
from services.generation.routes.owners import owner_of
from services.generation.views.preview import VisitorPage
from shared.http import Cursor, FromPath, Limit, User, decode_cursor, next_cursor
from shared.http.positions import following

FIRST = UUID(int=0)


@get(
    "/collections/{collection_id:uuid}/previews",
    summary="Who has tried a collection out",
    opt=following("collections"),
)
async def list_visitors(
    collection_id: FromPath[UUID],
    principal: User,
    preview_queries: NamedDependency[PreviewQueries],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> VisitorPage:
    """The visitors of your collection who have generated it, and how many artworks each, by their ids.

    Their files are in the lists of what each component has made; their jobs are only theirs to read.
    """
    await preview_queries.refuse_others(collection_id, owner_of(principal))
    after = FIRST if cursor is None else decode_cursor(cursor, UUID)
    visitors = await preview_queries.visitors(collection_id, after=after, limit=limit + 1)
    totals = await preview_queries.totals(collection_id)
    return VisitorPage(visitors[:limit], totals, next_cursor(visitors, limit, attrgetter("user_id")))
