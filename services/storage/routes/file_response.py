"""A stored file as a response: whole or one range (RFC 9110, sections 13 and 14), streamed from the store."""

from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from services.storage.domain.ranges import ByteRange, Unsatisfiable, parse_range
from services.storage.projections.assets import AssetRow
from services.storage.providers.s3 import NoSuchFile, S3Store
from shared.contracts.problem import Problem
from shared.http import ApiRequest
from shared.http.etag import check_if_match, is_not_modified
from shared.http.ingress import is_head
from shared.http.problems import respond
from shared.telemetry import get_logger

PRIVATE = "private, max-age=31536000, immutable"
PUBLIC = "public, max-age=31536000, immutable"
"""Values of Cache-Control: stored files never change."""

log = get_logger("storage")


async def file_response(request: ApiRequest, row: AssetRow, objects: S3Store, cache_control: str) -> Response[Any]:
    """The file, a range of it, or 304, 412 or 416. The ETag is the sha256. Raises UNAVAILABLE."""
    headers = file_headers(row) | {"cache-control": cache_control}
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
        log.exception("a recorded file is not in the store", asset_id=row.asset_id, path=row.path)
        raise Problem(
            "UNAVAILABLE", f"The bytes of asset {row.asset_id} are not in the file store right now: try again later"
        ) from error
    return Stream(chunks, status_code=status, headers=headers)


def file_headers(row: AssetRow) -> dict[str, str]:
    """The headers of a file's content, without its caching."""
    return {
        "content-type": row.mime_type,
        "etag": f'"{row.sha256}"',
        "accept-ranges": "bytes",
        "content-disposition": f"inline; filename*=UTF-8''{quote(row.name, safe='')}",
        **SANDBOX,
    }


SANDBOX = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""`nosniff` and a sandboxing CSP: an uploaded HTML or SVG file never runs scripts in our origin."""


def range_header(request: ApiRequest, etag: str) -> str | None:
    """The Range header; None if If-Range names another ETag."""
    condition = request.headers.get("if-range")
    return request.headers.get("range") if condition is None or condition.strip() == etag else None
