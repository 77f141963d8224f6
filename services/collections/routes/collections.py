"""Collections: for their owners, for other users, and for clients without a token."""

import hashlib
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from services.collections.domain.chains import Chain
from services.collections.queries.collection import Queries
from services.collections.queries.lists import ListQueries
from services.collections.queries.package import PackageQueries
from services.collections.routes import examples, package_examples
from services.collections.routes.answers import ANYONE, variant_of
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from services.collections.views.feed import FeedItem
from services.collections.views.history import HistoryEntry
from services.collections.views.package import PublishedPackageView
from services.collections.views.public import PublicCollection, PublicCollectionView, with_packages
from shared.contracts.problem import Detail, invalid
from shared.http import ApiRequest, Cursor, Envelope, FromPath, Limit, Page, User, versioned
from shared.http.positions import WITHOUT_TABLES
from shared.http.strict_urls import read_time, read_whole_number

AsOf = Annotated[str | None, QueryParameter(max_length=64, description="A version, or a time (RFC 3339)")]
OnChain = Annotated[Chain | None, QueryParameter(description="Only those on this chain")]


@get(
    "/collections",
    summary="Published collections",
    opt=ANYONE,
    security=[{}],
    operation_class=documented(response=examples.page(examples.PUBLIC)),
)
async def list_published_collections(
    list_queries: NamedDependency[ListQueries],
    blockchain: OnChain = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[PublicCollection]:
    """Published collections of all users, last published first; with `blockchain`, those on that chain."""
    return await list_queries.published_collections(limit, cursor, blockchain)


@get(
    "/collections/{collection_id:uuid}",
    summary="A collection",
    opt=WITHOUT_TABLES,
    operation_class=documented(response=examples.data(examples.DRAFT)),
)
async def get_collection(
    collection_id: FromPath[UUID],
    principal: User,
    queries: NamedDependency[Queries],
    request: ApiRequest,
    as_of: AsOf = None,
) -> Response[Envelope[CollectionView] | Envelope[PublicCollection] | None]:
    """Your own in full, with `as_of` at a past version or time; another user's if it is public, as anybody sees it."""
    collection: CollectionView | PublicCollection
    if as_of is None:
        collection = await queries.collection_for(principal.user_id, collection_id)
    else:
        collection = await queries.collection_as_of(principal.user_id, collection_id, _moment(as_of))
    return versioned(request, _envelope(collection), collection.version, variant_of(collection))


def _envelope(collection: CollectionView | PublicCollection) -> Envelope[CollectionView] | Envelope[PublicCollection]:
    """An envelope of its own type for each: no envelope is declared to hold either."""
    if isinstance(collection, CollectionView):
        return Envelope(collection)
    return Envelope(collection)


@get(
    "/collections/{collection_id:uuid}/history",
    summary="What happened to a collection",
    opt=WITHOUT_TABLES,
    operation_class=documented(response=examples.page(examples.HISTORY)),
)
async def get_history(
    collection_id: FromPath[UUID],
    principal: User,
    queries: NamedDependency[Queries],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[HistoryEntry]:
    """Its events in plain words, oldest first: who did what, and when. For its owner only."""
    return await queries.history(principal.user_id, collection_id, limit, cursor)


@get(
    "/collections/{collection_id:uuid}/public",
    summary="A published collection",
    opt=ANYONE | WITHOUT_TABLES,
    security=[{}],
    operation_class=documented(response=examples.data(package_examples.PUBLISHED)),
)
async def get_public_collection(
    collection_id: FromPath[UUID],
    queries: NamedDependency[Queries],
    package_queries: NamedDependency[PackageQueries],
    request: ApiRequest,
) -> Response[Envelope[PublicCollectionView] | None]:
    """A collection that is published or has an open preview. Needs no token.

    `packages` lists the published packages, the newest first: their root CIDs and provenance hashes. Whatever is
    changed later, those of earlier packages stay listed.
    """
    collection = await queries.public_collection(collection_id)
    packages = await package_queries.published(collection_id)
    view = with_packages(collection, packages)
    variant = f"{variant_of(collection)}-{packages[0].root}{_pinned(packages)}" if packages else variant_of(collection)
    return versioned(request, Envelope(view), collection.version, variant)


def _pinned(packages: list[PublishedPackageView]) -> str:
    """The part of the ETag that changes with the pins."""
    pins = [package.pins for package in packages if package.pins]
    return f"-{hashlib.sha256(msgspec.json.encode(pins)).hexdigest()[:16]}" if pins else ""


@get(
    "/feed",
    summary="Collections to try out",
    opt=ANYONE,
    security=[{}],
    operation_class=documented(response=examples.page(examples.FEED_ITEM)),
)
async def feed(list_queries: NamedDependency[ListQueries], limit: Limit = 20, cursor: Cursor = None) -> Page[FeedItem]:
    """Collections with an open preview, newest first."""
    return await list_queries.feed(limit, cursor)


def _moment(as_of: str) -> int | datetime:
    """A version of a collection, or a time."""
    if (version := read_whole_number(as_of)) is not None and version >= 0:
        return version
    if (time := read_time(as_of)) is not None:
        return time
    message = "must be a version such as 3, or a time with a UTC offset such as 2026-11-22T12:00:00Z"
    raise invalid(f"?as_of {message}", Detail("?as_of", message))
