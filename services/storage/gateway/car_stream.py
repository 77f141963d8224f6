"""A CAR file of what a path names: the blocks that lead there, then those below it, depth-first."""

import hashlib
from collections.abc import AsyncIterator

from services.storage.gateway.dag import Dag
from services.storage.gateway.paths import Target
from services.storage.gateway.request_form import CarForm
from services.storage.gateway.walk import entity, everything, file_size
from shared.content import car
from shared.content.cid import Cid
from shared.content.nodes import FILE

EMPTY_CAR = b"\x19\xa2eroots\x81\xd8*E\x00\x01U\x00\x00gversion\x01"
"""A CAR file without blocks; its root is the identity CID of nothing."""


async def car_stream(dag: Dag, target: Target, form: CarForm) -> AsyncIterator[bytes]:
    """Its root is what the path names. A block that can't be read ends it early, which its reader notices."""
    yield car.header(target.cid)
    previous: set[Cid] | None = None if form.dups else set()
    for cid in target.above:
        if previous is not None:
            if cid in previous:
                continue
            previous.add(cid)
        yield _frame(cid, await dag.block(cid))
    async for cid, block in await _below(dag, target, form, previous):
        yield _frame(cid, block)


def car_tag(target: Target, form: CarForm) -> str:
    """The ETag: the same blocks in the same order have the same."""
    scope = form.scope if form.entity_bytes is None else f"{form.entity_bytes.first}:{form.entity_bytes.last}"
    parts = [scope, "y" if form.dups else "n", *map(str, target.above)]
    digest = hashlib.sha256("/".join(parts).encode()).hexdigest()[:16]
    return f'"{target.cid}.car.{form.scope}.{digest}"'


async def _below(
    dag: Dag, target: Target, form: CarForm, previous: set[Cid] | None
) -> AsyncIterator[tuple[Cid, bytes]]:
    if form.scope == "block":
        return _only(dag, target.cid)
    if form.scope == "all":
        return everything(dag, target.cid, previous)
    is_file = target.node is None or target.node.kind == FILE
    if form.entity_bytes is None or not is_file:
        return entity(dag, target.cid, None, previous)
    span = form.entity_bytes.in_file(await file_size(dag, target))
    return _only(dag, target.cid) if span is None else entity(dag, target.cid, span, previous)


async def _only(dag: Dag, cid: Cid) -> AsyncIterator[tuple[Cid, bytes]]:
    yield cid, await dag.block(cid)


def _frame(cid: Cid, block: bytes) -> bytes:
    return car.frame(cid, len(block)) + block
