"""Publishes collections, now or at a time."""

from functools import partial
from uuid import UUID

from litestar import Response, delete, post
from litestar.di import NamedDependency

from services.collections.domain.collection import publishing
from services.collections.domain.collection.publishing import CallOffPublication, PublishCollection
from services.collections.queries.metadata import MetadataQueries
from services.collections.routes import examples
from services.collections.routes.answers import CollectionChange
from services.collections.routes.bodies import PublishBody
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from services.collections.views.publication import PublishCheck
from shared.http import Envelope, FromPath, FromQuery, JSONBody, User
from shared.runtime import Runtime

Published = Envelope[CollectionView] | Envelope[PublishCheck]


@post(
    "/collections/{collection_id:uuid}/publish",
    summary="Publish a collection",
    status_code=200,
    operation_class=documented(
        request={"publish_date": "2026-11-23T12:00:00Z"}, response=examples.data(examples.PUBLISHED)
    ),
)
async def publish_collection(
    collection_id: FromPath[UUID],
    principal: User,
    change: NamedDependency[CollectionChange],
    runtime: NamedDependency[Runtime],
    metadata_queries: NamedDependency[MetadataQueries],
    *,
    dry_run: FromQuery[bool] = False,
    data: JSONBody[PublishBody | None] = None,
) -> Response[Published]:
    """Now, or at `publish_date`. From then on all users see it, and what buyers rely on can no longer change.

    400 with one entry for each thing that is missing, or not valid on its chain. With `dry_run`, in the query or the
    body, 200 with all of them and the metadata that it would have on each chain; nothing is recorded.
    """
    date = data.publish_date if data is not None else None
    if dry_run or (data is not None and data.dry_run):
        return Response[Published](Envelope(await metadata_queries.check(principal.user_id, collection_id, date)))
    command = PublishCollection(principal.user_id, runtime.clock(), date)
    response = await change.apply_and_view(collection_id, partial(publishing.decide, command))
    return Response[Published](response.content, headers=response.headers)


@delete(
    "/collections/{collection_id:uuid}/publish",
    summary="Call off a scheduled publication",
    status_code=200,
    operation_class=documented(response=examples.data(examples.DRAFT)),
)
async def call_off_publication(
    collection_id: FromPath[UUID], principal: User, change: NamedDependency[CollectionChange]
) -> Response[Envelope[CollectionView]]:
    """Cancels it; the collection stays a draft."""
    return await change.apply_and_view(collection_id, partial(publishing.decide, CallOffPublication(principal.user_id)))
