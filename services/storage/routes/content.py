"""A file's bytes, for its owner and for the workers of its job."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from services.storage.domain.grant import grant_of, may_read
from services.storage.providers.file_store import FileStore
from services.storage.queries.asset import Queries
from services.storage.routes.disposition import Download
from services.storage.routes.documentation import FileDownload
from services.storage.routes.file_response import PRIVATE, file_response
from shared.contracts.problem import not_found
from shared.http import ApiRequest, FromPath, User


@get(
    "/assets/{asset_id:int}/content",
    summary="A file's bytes",
    opt={"roles": {"user", "operator", "worker"}},
    operation_class=FileDownload,
)
async def read_content(
    request: ApiRequest,
    asset_id: FromPath[int],
    principal: User,
    queries: NamedDependency[Queries],
    objects: NamedDependency[FileStore],
    *,
    download: Download = False,
) -> Response[Any]:
    """The whole file or one `Range` of it or several, for its owner; for workers, those of their job or payload.

    The ETag is the sha256: a stored file never changes.
    """
    if "worker" in principal.roles:
        grant = grant_of(principal.claims, principal.user_id)
        row = await queries.asset(asset_id)
        if row is None or not may_read(grant, principal.user_id, asset_id, row.user_id, row.job_id):
            raise not_found(f"Asset {asset_id}")
    else:
        row = await queries.asset_of(asset_id, principal.user_id)
    return await file_response(request, row, objects, PRIVATE, download=download)
