"""The metadata of a user's files."""

from datetime import datetime
from operator import attrgetter
from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from services.storage.queries.asset import Queries
from services.storage.queries.asset_filter import AssetFilter
from services.storage.views import AssetView, Links
from shared.contracts.problem import Detail, invalid
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

MIME = r"^[A-Za-z0-9][A-Za-z0-9!#$&^_.+ -]{0,99}/(\*|[A-Za-z0-9][A-Za-z0-9!#$&^_.+ -]{0,99})$"
"""A media type, or all of one kind. In a query `+` means a space, which no type has: so a space is `+` here."""
Mime = Annotated[
    str | None,
    QueryParameter(description="Of this type, such as `image/png`, with any charset; or `image/*`", pattern=MIME),
]
JobId = Annotated[UUID | None, QueryParameter(description="Made by this job")]
CollectionId = Annotated[UUID | None, QueryParameter(description="Made for this collection")]
ComponentId = Annotated[int | None, QueryParameter(description="Made by this component", ge=0, le=LAST_NUMBER)]
SameJob = Annotated[UUID | None, QueryParameter(description="The earlier name of `job`")]
SameCollection = Annotated[UUID | None, QueryParameter(description="The earlier name of `collection`")]


@get("/assets", summary="Your files", opt=following("generation"))
async def list_assets(
    principal: User,
    queries: NamedDependency[Queries],
    links: NamedDependency[Links],
    limit: Limit = 50,
    cursor: Cursor = None,
    mime: Mime = None,
    since: FromQuery[datetime | None] = None,
    job: JobId = None,
    collection: CollectionId = None,
    component: ComponentId = None,
    job_id: SameJob = None,
    collection_id: SameCollection = None,
) -> Page[AssetView]:
    """Newest first; those that meet all conditions. `since`: stored then or later."""
    chosen = AssetFilter(
        job_id=_one_of("job", job, job_id),
        collection_id=_one_of("collection", collection, collection_id),
        component_id=component,
        mime=None if mime is None else mime.lower().replace(" ", "+"),
        since=since,
    )
    below = cursor_number(cursor, LAST_NUMBER)
    rows = await queries.assets_of_user(principal.user_id, chosen, below=below, limit=limit + 1)
    return Page([links.view(row) for row in rows[:limit]], next_cursor(rows, limit, attrgetter("asset_id")))


def _one_of(name: str, value: UUID | None, earlier: UUID | None) -> UUID | None:
    """The value of a parameter that has two names. Raises VALIDATION_FAILED if the two differ."""
    if value is not None and earlier is not None and value != earlier:
        message = f"is another name of {name}, which has another value: send one of them"
        raise invalid(f"?{name}_id {message}", Detail(f"?{name}_id", message))
    return earlier if value is None else value


@get("/assets/{asset_id:int}", summary="One of your files", opt=following("generation"))
async def read_asset(
    asset_id: FromPath[int], principal: User, queries: NamedDependency[Queries], links: NamedDependency[Links]
) -> Envelope[AssetView]:
    """A file's type, size and sha256, and the data that it was made from."""
    return Envelope(links.view(await queries.asset_of(asset_id, principal.user_id)))
