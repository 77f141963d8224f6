"""A file's bytes over HTTP: whole or one range (RFC 9110, sections 13 and 14), streamed from the store."""

from typing import Any
from urllib.parse import quote

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.response import Stream

from services.storage.domain.grant import grant_of
from services.storage.domain.ranges import ByteRange, Unsatisfiable, parse_range
from services.storage.projections.assets import AssetRow
from services.storage.providers.s3 import NoSuchFile, S3Store
from services.storage.queries import Queries
from services.storage.routes.documentation import FileDownload
from shared.contracts.problem import Problem, not_found
from shared.http import ApiRequest, FromPath, User
from shared.http.etag import check_if_match, is_not_modified
from shared.http.ingress import is_head
from shared.http.problems import respond
from shared.telemetry import get_logger

log = get_logger("storage")


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
    headers = content_headers(row)
    check_if_match(request, headers["etag"])
    if is_not_modified(request.headers.get("if-none-match"), headers["etag"]):
        return Response(None, status_code=304, headers=headers)
    only_headers = is_head(request.scope)
    try:
        # Range is defined for GET alone (RFC 9110, section 14.2).
        requested = None if only_headers else parse_range(range_header(request, headers["etag"]), row.size)
    except Unsatisfiable:
        problem = Problem("RANGE_NOT_SATISFIABLE", f"The file has {row.size} bytes")
        return respond(problem, headers={"content-range": f"bytes */{row.size}"})
    byte_range = requested or ByteRange(0, row.size - 1)
    headers["content-length"] = str(byte_range.length)
    if requested:
        headers["content-range"] = f"bytes {requested.first}-{requested.last}/{row.size}"
    status = 206 if requested else 200
    if only_headers or byte_range.length == 0:
        return Stream(iter(()), status_code=status, headers=headers)
    try:
        chunks = await objects.read(row.path, byte_range.first, byte_range.length)
    except NoSuchFile as error:
        log.exception("a recorded file is not in the store", asset_id=asset_id, path=row.path)
        raise Problem(
            "UNAVAILABLE", f"The bytes of asset {asset_id} are not in the file store right now: try again later"
        ) from error
    return Stream(chunks, status_code=status, headers=headers)


def content_headers(row: AssetRow) -> dict[str, str]:
    """`nosniff` and a sandboxing CSP: an uploaded HTML or SVG file never runs scripts in our origin."""
    return {
        "content-type": row.mime_type,
        "etag": f'"{row.sha256}"',
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=31536000, immutable",
        "content-disposition": f"inline; filename*=UTF-8''{quote(row.name, safe='')}",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
    }


def range_header(request: ApiRequest, etag: str) -> str | None:
    """The Range header; None if If-Range names another ETag."""
    condition = request.headers.get("if-range")
    return request.headers.get("range") if condition is None or condition.strip() == etag else None
