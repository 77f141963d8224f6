"""The bytes of a file in a package, and its media type."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from itertools import chain

import msgspec

from services.storage.domain.ranges import ByteRange
from services.storage.gateway.dag import Dag
from services.storage.gateway.paths import Target
from services.storage.gateway.walk import ENTRY, Chunk, chunks
from shared.content.cid import Cid
from shared.content.media import EMPTY, EXTENSIONS, TEXT, kind_of
from shared.content.nodes import HAMT, Block
from shared.stopping import stop

_TYPES: Mapping[str, str] = {extension: mime_type for mime_type, extension in EXTENSIONS.items()}
_JSON = "application/json"


async def content(dag: Dag, target: Target, span: ByteRange) -> AsyncIterator[bytes]:
    """The bytes of a span, in pieces of up to 1 MiB; one piece is read ahead."""
    ahead: asyncio.Task[bytes] | None = None
    try:
        async with contextlib.aclosing(chunks(dag, target, span)) as parts:
            async for part in parts:
                current, ahead = ahead, asyncio.create_task(_piece(dag, part))
                if current is not None:
                    yield await current
        if ahead is not None:
            yield await ahead
    finally:
        if ahead is not None:
            await stop(ahead)


async def _piece(dag: Dag, chunk: Chunk) -> bytes:
    block = await dag.block(chunk.cid)
    return block[chunk.first : chunk.first + chunk.length]


async def media_type(dag: Dag, target: Target, name: str) -> str:
    """A file's type: by the extension of its name if packages have files of that one, else by its first bytes."""
    by_name = _TYPES.get(name.rpartition(".")[2].lower()) if "." in name else None
    return by_name or await _by_content(dag, target)


async def _by_content(dag: Dag, target: Target) -> str:
    first = target.cid
    if target.node is not None:
        async with contextlib.aclosing(chunks(dag, target, ByteRange(0, 0))) as parts:
            first = (await anext(parts)).cid
    start = await dag.block(first)
    kind = kind_of(start)
    if kind in (TEXT, EMPTY):
        return _JSON if target.node is None and _is_json(start) else f"{TEXT}; charset=utf-8"
    return kind


def _is_json(text: bytes) -> bool:
    """Whether a whole text is a JSON object: the metadata of a collection or token, or a manifest."""
    if not text.startswith(b"{"):
        return False
    try:
        msgspec.json.decode(text)
    except msgspec.DecodeError:
        return False
    return True


async def entries(dag: Dag, node: Block) -> list[tuple[str, Cid]]:
    """The names of a directory's entries, in their order, with their CIDs."""
    if node.kind != HAMT:
        return [(link.name, link.cid) for link in node.links]
    deeper = [link.cid for link in node.links if len(link.name) == ENTRY]
    await dag.expect(deeper)
    below = [await entries(dag, await dag.node(cid)) for cid in deeper]
    own = [(link.name[ENTRY:], link.cid) for link in node.links if len(link.name) != ENTRY]
    return sorted(chain(own, *below))
