"""A file's bytes, for its owner and for the workers of its job."""

from typing import Any

from litestar import Response, get
from litestar.di import NamedDependency

from services.storage.domain.grant import grant_of
from services.storage.providers.s3 import S3Store
from services.storage.queries.asset import Queries
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
    objects: NamedDependency[S3Store],
) -> Response[Any]:
    """The whole file or one `Range` of it, for its owner and for workers whose grant reads the files of its job.

    The ETag is the sha256: a stored file never changes.
    """
    row = await queries.asset_of(asset_id, principal.user_id)
    if "worker" in principal.roles and grant_of(principal.claims, principal.user_id).read_job != row.job_id:
        raise not_found(f"Asset {asset_id}")
    return await file_response(request, row, objects, PRIVATE)
