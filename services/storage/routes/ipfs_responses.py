"""The responses of the IPFS gateway: files, listings of directories, raw blocks and CAR files."""

import html
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

from litestar import Response
from litestar.response import Stream

from services.storage.domain.ranges import ByteRange
from services.storage.gateway.car_stream import EMPTY_CAR, car_stream, car_tag
from services.storage.gateway.dag import Dag
from services.storage.gateway.file_content import content, entries, media_type
from services.storage.gateway.paths import Target
from services.storage.gateway.request_form import CAR_TYPE, RAW_TYPE, CarForm
from services.storage.gateway.walk import file_size
from services.storage.routes.disposition import disposition
from services.storage.routes.file_response import SANDBOX, selection, stream_response
from shared.content.nodes import FILE
from shared.http import ApiRequest
from shared.http.etag import check_if_match, is_not_modified
from shared.http.ingress import is_head

FOREVER = "public, max-age=29030400, immutable"
A_WEEK = "public, max-age=604800, stale-while-revalidate=2678400"
"""Of listings: their form may change."""
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{path}</title>
<style>body{{font-family:sans-serif}}td{{padding:.2em 1em .2em 0}}code{{color:#666}}</style>
<h1>{path}</h1><p><code>{cid}</code></p><table>{rows}</table></html>
"""


class Answer(NamedTuple):
    """What a request came to: `path` is that of the request, with its CID first."""

    request: ApiRequest
    path: tuple[str, ...]
    dag: Dag
    target: Target

    @property
    def headers(self) -> dict[str, str]:
        """Those that all responses have."""
        return {
            "x-ipfs-path": content_path(self.path),
            "x-ipfs-roots": ",".join(map(str, self.target.roots)),
            "cache-control": FOREVER,
            "vary": "Accept",
            **SANDBOX,
        }


def content_path(path: tuple[str, ...]) -> str:
    """The percent-encoded path of a CID and the names below it."""
    return "/ipfs/" + "/".join(quote(segment, safe="") for segment in path)


async def raw_response(answer: Answer, filename: str | None) -> Response[Any]:
    """The block that the path names."""
    cid = answer.target.cid
    headers = {
        **answer.headers,
        "content-type": RAW_TYPE,
        "etag": f'"{cid}.raw"',
        "content-disposition": disposition(filename or f"{cid}.bin", download=True),
    }
    return await _bytes(answer, headers, await answer.dag.size(cid), is_block=True)


async def car_response(answer: Answer, form: CarForm, filename: str | None) -> Response[Any]:
    """A CAR file of what the path names, streamed."""
    headers = {
        **answer.headers,
        "content-type": f"{CAR_TYPE}; version=1; order=dfs; dups={'y' if form.dups else 'n'}",
        "etag": car_tag(answer.target, form),
        "accept-ranges": "none",
        "content-disposition": disposition(filename or f"{answer.target.cid}.car", download=True),
    }
    if (early := _unchanged(answer.request, headers)) is not None:
        return early
    if is_head(answer.request.scope):
        return Stream(iter(()), headers=headers)
    return Stream(car_stream(answer.dag, answer.target, form), headers=headers)


async def plain_response(answer: Answer, filename: str | None, *, download: bool) -> Response[Any]:
    """A file's bytes, or a page that lists a directory."""
    target = answer.target
    if target.node is not None and target.node.kind != FILE:
        return await _listing(answer)
    name = filename or (answer.path[-1] if len(answer.path) > 1 else "")
    headers = {
        **answer.headers,
        "content-type": await media_type(answer.dag, target, name),
        "etag": f'"{target.cid}"',
        "content-disposition": disposition(name or str(target.cid), download=download),
    }
    return await _bytes(answer, headers, await file_size(answer.dag, target), is_block=False)


def probe_response(form: CarForm | str) -> Response[bytes]:
    """Of the empty identity CID, by which clients find out that this is a gateway."""
    media = RAW_TYPE if form == "raw" else "text/plain; charset=utf-8"
    if isinstance(form, CarForm):
        media = f"{CAR_TYPE}; version=1; order=dfs; dups={'y' if form.dups else 'n'}"
    headers = {"content-type": media, "cache-control": FOREVER, "vary": "Accept", **SANDBOX}
    return Response(EMPTY_CAR if isinstance(form, CarForm) else b"", headers=headers)


async def _bytes(answer: Answer, headers: dict[str, str], size: int, *, is_block: bool) -> Response[Any]:
    """A block or a file, whole or in ranges."""
    selected = selection(answer.request, headers, size, "content")
    if isinstance(selected, Response):
        return selected
    if not is_block and answer.target.node is not None:
        return await stream_response(selected, partial(_opened, answer))
    block = await answer.dag.block(answer.target.cid)
    return await stream_response(selected, partial(_cut, block))


async def _opened(answer: Answer, span: ByteRange) -> AsyncIterator[bytes]:
    return content(answer.dag, answer.target, span)


async def _cut(block: bytes, span: ByteRange) -> AsyncIterator[bytes]:
    async def whole() -> AsyncIterator[bytes]:
        yield block[span.first : span.last + 1]

    return whole()


async def _listing(answer: Answer) -> Response[Any]:
    assert answer.target.node is not None, "a directory has a node"
    tag = f'"DirIndex-1_CID-{answer.target.cid}"'
    headers = {**answer.headers, "content-type": "text/html; charset=utf-8", "etag": tag, "cache-control": A_WEEK}
    if (early := _unchanged(answer.request, headers)) is not None:
        return early
    rows = "".join(
        f'<tr><td><a href="{content_path((*answer.path, name))}">{html.escape(name)}</a><td><code>{cid}</code>'
        for name, cid in await entries(answer.dag, answer.target.node)
    )
    path = html.escape("/ipfs/" + "/".join(answer.path))
    page = PAGE.format(path=path, cid=answer.target.cid, rows=rows)
    return Response(page.encode(), headers=headers)


def _unchanged(request: ApiRequest, headers: dict[str, str]) -> Response[Any] | None:
    """304 if the client has the representation. Raises VERSION_CONFLICT (412)."""
    check_if_match(request, headers["etag"])
    if not is_not_modified(request.headers.get("if-none-match"), headers["etag"]):
        return None
    return Response(None, status_code=304, headers=headers)
