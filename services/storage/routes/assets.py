"""The metadata of a user's files."""

from operator import attrgetter
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency

from services.storage.queries.asset import Queries
from services.storage.views import AssetView, Links
from shared.http import (
    LAST_NUMBER,
    Cursor,
    Envelope,
    FromPath,
    FromQuery,
    Limit,
    Page,
    User,
    cursor_number,
    next_cursor,
)
from shared.http.positions import following


@get("/assets", summary="Your files", opt=following("generation"))
async def list_assets(
    principal: User,
    queries: NamedDependency[Queries],
    links: NamedDependency[Links],
    limit: Limit = 50,
    cursor: Cursor = None,
    job_id: FromQuery[UUID | None] = None,
    collection_id: FromQuery[UUID | None] = None,
) -> Page[AssetView]:
    """Newest first; with `job_id` or `collection_id`, those made by one job or for one collection."""
    below = cursor_number(cursor, LAST_NUMBER)
    rows = await queries.assets_of_user(
        principal.user_id, below=below, limit=limit + 1, job_id=job_id, collection_id=collection_id
    )
    return Page([links.view(row) for row in rows[:limit]], next_cursor(rows, limit, attrgetter("asset_id")))


@get("/assets/{asset_id:int}", summary="One of your files", opt=following("generation"))
async def read_asset(
    asset_id: FromPath[int], principal: User, queries: NamedDependency[Queries], links: NamedDependency[Links]
) -> Envelope[AssetView]:
    """A file's type, size and sha256, and the data that it was made from."""
    return Envelope(links.view(await queries.asset_of(asset_id, principal.user_id)))
