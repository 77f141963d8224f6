"""A stored file as a response: whole or one range (RFC 9110, sections 13 and 14), streamed from the store."""

from typing import Any, NamedTuple
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from services.storage.domain.ranges import ByteRange, Unsatisfiable, parse_range
from services.storage.projections.assets import AssetRow
from services.storage.providers.file_store import FileStore, NoSuchFile
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


class Part(NamedTuple):
    """What of a content a response has: `status` is 200 for all of it, 206 for a range."""

    span: ByteRange
    status: int


def requested_part(request: ApiRequest, headers: dict[str, str], size: int, subject: str) -> Part | Response[Any]:
    """The part of `size` bytes that GET asks for; or the whole response if it has no content: HEAD, 304, 416.

    `headers` has the ETag; those of the length and the range are added. Raises VERSION_CONFLICT (412).
    """
    check_if_match(request, headers["etag"])
    if is_not_modified(request.headers.get("if-none-match"), headers["etag"]):
        return Response(None, status_code=304, headers=headers)
    headers["accept-ranges"] = "bytes"
    only_headers = is_head(request.scope)
    try:
        # Range is defined for GET alone (RFC 9110, section 14.2).
        requested = None if only_headers else parse_range(_range_header(request, headers["etag"]), size)
    except Unsatisfiable:
        problem = Problem("RANGE_NOT_SATISFIABLE", f"The {subject} has {size} bytes")
        return respond(problem, headers={"content-range": f"bytes */{size}"})
    span = requested or ByteRange(0, size - 1)
    headers["content-length"] = str(span.length)
    if requested:
        headers["content-range"] = f"bytes {requested.first}-{requested.last}/{size}"
    part = Part(span, 206 if requested else 200)
    if only_headers or span.length == 0:
        return Stream(iter(()), status_code=part.status, headers=headers)
    return part


async def file_response(request: ApiRequest, row: AssetRow, objects: FileStore, cache_control: str) -> Response[Any]:
    """The file or a range of it, or a response without content. The ETag is the sha256. Raises UNAVAILABLE."""
    headers = file_headers(row) | {"cache-control": cache_control}
    part = requested_part(request, headers, row.size, "file")
    if isinstance(part, Response):
        return part
    try:
        chunks = await objects.read(row.path, part.span.first, part.span.length)
    except NoSuchFile as error:
        log.exception("a recorded file is not in the store", asset_id=row.asset_id, path=row.path)
        raise Problem(
            "UNAVAILABLE", f"The bytes of asset {row.asset_id} are not in the file store right now: try again later"
        ) from error
    return Stream(chunks, status_code=part.status, headers=headers)


def file_headers(row: AssetRow) -> dict[str, str]:
    """The headers of a file's content, without its caching."""
    return {
        "content-type": row.mime_type,
        "etag": f'"{row.sha256}"',
        "content-disposition": f"inline; filename*=UTF-8''{quote(row.name, safe='')}",
        **SANDBOX,
    }


SANDBOX = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}
"""`nosniff` and a sandboxing CSP: an uploaded HTML or SVG file never runs scripts in our origin."""


def _range_header(request: ApiRequest, etag: str) -> str | None:
    """The Range header; None if If-Range names another ETag."""
    condition = request.headers.get("if-range")
    return request.headers.get("range") if condition is None or condition.strip() == etag else None
