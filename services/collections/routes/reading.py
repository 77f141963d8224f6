"""Collections as their owners, other users and anybody see them."""

from typing import Annotated
from uuid import UUID

from litestar import Response, get
from litestar.params import PathParameter

from services.collections.routes.answers import ANYONE, Questions
from services.collections.views import CollectionSummary, CollectionView, ComponentAssetView, FeedItem
from shared.http import ApiRequest, Cursor, Envelope, FromPath, Limit, Page, User, versioned

Id64 = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


@get("/collections", summary="Published collections", opt=ANYONE, security=[{}])
async def list_published_collections(
    questions: Questions, limit: Limit = 20, cursor: Cursor = None
) -> Page[CollectionSummary]:
    """Everybody's, last published first."""
    return await questions.published_collections(limit, cursor)


@get("/collections/{collection_id:uuid}", summary="A collection")
async def get_collection(
    collection_id: FromPath[UUID], principal: User, questions: Questions, request: ApiRequest
) -> Response[Envelope[CollectionView] | None]:
    """Yours in full; another's when it is published, without its `data`."""
    found = await questions.collection_for(principal.user_id, collection_id)
    return versioned(request, Envelope(found), found.version)


@get("/collections/{collection_id:uuid}/public", summary="A published collection", opt=ANYONE, security=[{}])
async def get_public_collection(
    collection_id: FromPath[UUID], questions: Questions, request: ApiRequest
) -> Response[Envelope[CollectionView] | None]:
    """What anybody may see of it, without a token."""
    found = await questions.public_collection(collection_id)
    return versioned(request, Envelope(found), found.version)


@get("/feed", summary="Collections to try out", opt=ANYONE, security=[{}])
async def feed(questions: Questions, limit: Limit = 20, cursor: Cursor = None) -> Page[FeedItem]:
    """What creators have opened to visitors, newest first."""
    return await questions.feed(limit, cursor)


@get("/collections/{collection_id:uuid}/components/{component_id:int}/assets", summary="What a component has made")
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
