"""Collections as their owners, other users and anybody see them."""

import asyncio
from datetime import datetime
from typing import Annotated
from uuid import UUID

from litestar import Response, get
from litestar.params import PathParameter, QueryParameter

from services.collections import examples
from services.collections.domain.chains import Chain
from services.collections.domain.collection.variable_table import table_of
from services.collections.examples import shown
from services.collections.routes.answers import ANYONE, Questions, variant_of
from services.collections.views import CollectionSummary, CollectionView, ComponentAssetView, FeedItem, HistoryEntry
from shared.contracts.problem import Detail, invalid
from shared.http import ApiRequest, Cursor, Envelope, FromPath, Limit, Page, User, versioned
from shared.http.positions import WITHOUT_TABLES, following
from shared.http.strict_urls import read_time, read_whole_number

CSV = "text/csv; charset=utf-8"
AsOf = Annotated[str | None, QueryParameter(max_length=64, description="A version, or a time (RFC 3339)")]
OnChain = Annotated[Chain | None, QueryParameter(description="Only those on this chain")]
Id64 = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


@get(
    "/collections",
    summary="Published collections",
    opt=ANYONE,
    security=[{}],
    operation_class=shown(gives=examples.page(examples.PUBLISHED_SUMMARY)),
)
async def list_published_collections(
    questions: Questions,
    blockchain: OnChain = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[CollectionSummary]:
    """Everybody's, last published first; with `blockchain`, those on that chain."""
    return await questions.published_collections(limit, cursor, blockchain)


@get(
    "/collections/{collection_id:uuid}",
    summary="A collection",
    opt=WITHOUT_TABLES,
    operation_class=shown(gives=examples.data(examples.DRAFT)),
)
async def get_collection(
    collection_id: FromPath[UUID], principal: User, questions: Questions, request: ApiRequest, as_of: AsOf = None
) -> Response[Envelope[CollectionView] | None]:
    """Yours in full, also as it was; another's when it is public, without its `data`."""
    if as_of is None:
        collection = await questions.collection_for(principal.user_id, collection_id)
    else:
        collection = await questions.collection_as_of(principal.user_id, collection_id, _moment(as_of))
    return versioned(request, Envelope(collection), collection.version, variant_of(collection))


@get(
    "/collections/{collection_id:uuid}/history",
    summary="What happened to a collection",
    opt=WITHOUT_TABLES,
    operation_class=shown(gives=examples.page(examples.HISTORY)),
)
async def get_history(
    collection_id: FromPath[UUID], principal: User, questions: Questions, limit: Limit = 20, cursor: Cursor = None
) -> Page[HistoryEntry]:
    """Who did what and when, in plain words, from the beginning; for its owner alone."""
    return await questions.history(principal.user_id, collection_id, limit, cursor)


@get(
    "/collections/{collection_id:uuid}/variables.csv",
    summary="A collection's variables as a table",
    opt=WITHOUT_TABLES,
    media_type=CSV,
    operation_class=shown(gives=examples.VARIABLES_CSV),
)
async def get_variables(
    collection_id: FromPath[UUID], principal: User, questions: Questions, request: ApiRequest
) -> Response[bytes | None]:
    """For a spreadsheet; `PUT` takes it back exactly."""
    collection = await questions.owned_collection(principal.user_id, collection_id)
    assert collection.data is not None, "its owner sees a collection's data"
    table = (await asyncio.to_thread(table_of, collection.data.get("variables") or [])).encode()
    headers = {"content-type": CSV, "content-disposition": 'attachment; filename="variables.csv"'}
    return versioned(request, table, collection.version, "csv", headers=headers)


@get(
    "/collections/{collection_id:uuid}/public",
    summary="A published collection",
    opt=ANYONE | WITHOUT_TABLES,
    security=[{}],
    operation_class=shown(gives=examples.data(examples.PUBLIC)),
)
async def get_public_collection(
    collection_id: FromPath[UUID], questions: Questions, request: ApiRequest
) -> Response[Envelope[CollectionView] | None]:
    """Its public part; needs no token."""
    collection = await questions.public_collection(collection_id)
    return versioned(request, Envelope(collection), collection.version, variant_of(collection))


@get(
    "/feed",
    summary="Collections to try out",
    opt=ANYONE,
    security=[{}],
    operation_class=shown(gives=examples.page(examples.FEED_ITEM)),
)
async def feed(questions: Questions, limit: Limit = 20, cursor: Cursor = None) -> Page[FeedItem]:
    """Collections with an open preview, newest first."""
    return await questions.feed(limit, cursor)


@get(
    "/collections/{collection_id:uuid}/components/{component_id:int}/assets",
    summary="What a component has made",
    opt=following("generation", "storage"),
    operation_class=shown(gives=examples.page(examples.COMPONENT_ASSET)),
)
async def list_assets_of_component(
    collection_id: FromPath[UUID],
    component_id: Id64,
    principal: User,
    questions: Questions,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[ComponentAssetView]:
    """The files of all its generations, newest first, with what each was made from."""
    return await questions.assets_of_component(principal.user_id, collection_id, component_id, limit, cursor)


def _moment(as_of: str) -> int | datetime:
    """A version of a collection, or a time."""
    if (version := read_whole_number(as_of)) is not None and version >= 0:
        return version
    if (time := read_time(as_of)) is not None:
        return time
    message = "is a version such as 3, or a time with its zone such as 2026-11-22T12:00:00Z"
    raise invalid(f"?as_of {message}", Detail("?as_of", message))
