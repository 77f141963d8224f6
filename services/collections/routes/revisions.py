"""What has changed of a collection since it was published: public, as the changes are."""

from uuid import UUID

from litestar import get
from litestar.di import NamedDependency

from services.collections.queries.revision import RevisionQueries
from services.collections.routes import examples
from services.collections.routes.documentation import documented
from services.collections.routes.metadata import RECOGNIZING, reader_of
from services.collections.views.revision import RevisionView
from shared.http import ApiRequest, Cursor, FromPath, Limit, Page


@get(
    "/collections/{collection_id:uuid}/revisions",
    summary="What has changed since it was published",
    opt=RECOGNIZING,
    operation_class=documented(response=examples.page(*examples.REVISIONS)),
)
async def list_revisions(
    collection_id: FromPath[UUID],
    request: ApiRequest,
    revision_queries: NamedDependency[RevisionQueries],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[RevisionView]:
    """Newest first, of what is published, or is yours. Revision 1 is what was published.

    Each change of what is public makes the next one: of the description, the price, the cover, the images, the
    receivers. Metadata with `?revision=` is as it was then.
    """
    return await revision_queries.revisions(reader_of(request), collection_id, limit, cursor)
