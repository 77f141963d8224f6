"""A stored file as a response: whole or in ranges (RFC 9110, sections 13 and 14), streamed from the store."""

import secrets
from collections.abc import Sequence
from typing import Any, NamedTuple

from litestar import Response
from litestar.response import Stream

from services.storage.domain.ranges import ByteRange, Unsatisfiable, parse_ranges
from services.storage.projections.assets import AssetRow
from services.storage.providers.file_store import FileStore, NoSuchFile
from services.storage.routes.byte_ranges import ByteRanges, Read
from services.storage.routes.disposition import disposition
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


class Selection(NamedTuple):
    """What of a content a response has: one span of it, or several."""

    spans: Sequence[ByteRange]
    status: int
    """200 for all of it, else 206."""
    headers: dict[str, str]
    byte_ranges: ByteRanges | None = None
    """Of several spans: the form of the body."""


def selection(request: ApiRequest, headers: dict[str, str], size: int, subject: str) -> Selection | Response[Any]:
    """What GET asks for of `size` bytes; or the whole response if it has no content: HEAD, 304, 416.

    `headers` has the ETag and the type; those of the length and the range are added. Raises VERSION_CONFLICT (412).
    """
    check_if_match(request, headers["etag"])
    if is_not_modified(request.headers.get("if-none-match"), headers["etag"]):
        return Response(None, status_code=304, headers=headers)
    headers["accept-ranges"] = "bytes"
    only_headers = is_head(request.scope)
    try:
        # Range is defined for GET alone (RFC 9110, section 14.2).
        ranges = [] if only_headers else parse_ranges(_range_header(request, headers["etag"]), size)
    except Unsatisfiable:
        problem = Problem("RANGE_NOT_SATISFIABLE", f"The {subject} has {size} bytes")
        return respond(problem, headers={"content-range": f"bytes */{size}"})
    if len(ranges) > 1:
        byte_ranges = ByteRanges(ranges, size, headers["content-type"], secrets.token_hex(16))
        headers |= {"content-type": byte_ranges.content_type, "content-length": str(byte_ranges.length)}
        return Selection(ranges, 206, headers, byte_ranges)
    span = ranges[0] if ranges else ByteRange(0, size - 1)
    headers["content-length"] = str(span.length)
    if ranges:
        headers["content-range"] = f"bytes {span.first}-{span.last}/{size}"
    status = 206 if ranges else 200
    if only_headers or span.length == 0:
        return Stream(iter(()), status_code=status, headers=headers)
    return Selection([span], status, headers)


async def stream_response(selected: Selection, read: Read) -> Response[Any]:
    """The response of a selection, streamed. Raises what `read` raises of the first span."""
    pieces = await read(selected.spans[0])
    if selected.byte_ranges is not None:
        pieces = selected.byte_ranges.body(pieces, read)
    return Stream(pieces, status_code=selected.status, headers=selected.headers)


async def file_response(
    request: ApiRequest, row: AssetRow, objects: FileStore, cache_control: str, *, download: bool = False
) -> Response[Any]:
    """The file or ranges of it, or a response without content. The ETag is the sha256. Raises UNAVAILABLE."""
    headers = file_headers(row, download=download) | {"cache-control": cache_control}
    selected = selection(request, headers, row.size, "file")
    if isinstance(selected, Response):
        return selected
    try:
        return await stream_response(selected, lambda span: objects.read(row.path, span.first, span.length))
    except NoSuchFile as error:
        log.exception("a recorded file is not in the store", asset_id=row.asset_id, path=row.path)
        raise Problem(
            "UNAVAILABLE", f"The bytes of asset {row.asset_id} are not in the file store right now: try again later"
        ) from error


def file_headers(row: AssetRow, *, download: bool = False) -> dict[str, str]:
    """The headers of a file's content, without its caching."""
    return {
        "content-type": row.mime_type,
        "etag": f'"{row.sha256}"',
        "content-disposition": disposition(row.name, download=download),
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
