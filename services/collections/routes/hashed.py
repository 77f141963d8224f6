"""Responses whose ETag is the sha256 of their content."""

import hashlib
from collections.abc import Mapping
from typing import Any

from litestar import MediaType, Response

from shared.http import ApiRequest
from shared.http.etag import check_if_match, is_not_modified


def hashed(request: ApiRequest, content: bytes, media_type: MediaType, headers: Mapping[str, str]) -> Response[Any]:
    """The content, or 304 if the client has it. Raises VERSION_CONFLICT (412)."""
    tag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = {**headers, "etag": tag}
    check_if_match(request, tag)
    if is_not_modified(request.headers.get("if-none-match"), tag):
        return Response(None, status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
