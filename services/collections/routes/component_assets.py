"""The files that components made."""

from typing import Annotated
from uuid import UUID

from litestar import get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from services.collections.queries.component_asset import ComponentAssetQueries
from services.collections.routes import examples
from services.collections.routes.documentation import documented
from services.collections.views.component_asset import ComponentAssetView
from shared.http import Cursor, FromPath, Limit, Page, User
from shared.http.positions import following

Id64 = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


@get(
    "/collections/{collection_id:uuid}/components/{component_id:int}/assets",
    summary="What a component has made",
    opt=following("generation", "storage"),
    operation_class=documented(response=examples.page(examples.COMPONENT_ASSET)),
)
async def list_assets_of_component(
    collection_id: FromPath[UUID],
    component_id: Id64,
    principal: User,
    asset_queries: NamedDependency[ComponentAssetQueries],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[ComponentAssetView]:
    """The files of all its generations, newest first, with what each was made from."""
    return await asset_queries.assets_of_component(principal.user_id, collection_id, component_id, limit, cursor)
