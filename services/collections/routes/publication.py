"""Publishes collections, now or at a time."""

from functools import partial
from uuid import UUID

from litestar import Response, delete, post
from litestar.di import NamedDependency

from services.collections.domain.collection import publishing
from services.collections.domain.collection.publishing import CallOffPublication, PublishCollection
from services.collections.domain.collection.selection import Choice
from services.collections.queries.publication import PublicationQueries
from services.collections.routes import examples
from services.collections.routes.answers import CollectionChange
from services.collections.routes.bodies import PublishBody
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from services.collections.views.publication import PublicationView, PublishCheck
from shared.http import Envelope, FromPath, FromQuery, JSONBody, User
from shared.http.positions import following
from shared.runtime import Runtime

Published = Envelope[PublicationView] | Envelope[PublishCheck]


@post(
    "/collections/{collection_id:uuid}/publish",
    summary="Publish a collection",
    status_code=200,
    opt=following("generation", "storage"),
    operation_class=documented(
        request={"job_id": examples.JOB_ID, "publish_date": "2026-11-23T12:00:00Z"},
        response=examples.data(examples.PUBLICATION),
    ),
)
async def publish_collection(
    collection_id: FromPath[UUID],
    principal: User,
    change: NamedDependency[CollectionChange],
    runtime: NamedDependency[Runtime],
    publication_queries: NamedDependency[PublicationQueries],
    *,
    dry_run: FromQuery[bool] = False,
    data: JSONBody[PublishBody | None] = None,
) -> Response[Published]:
    """Now, or at `publish_date`. From then on everybody sees it, and what was sold no longer changes.

    What is sold are the artworks of one finished job: all, or those in `generations`, in this order. The answer lists
    them, and `warnings` about what may be a mistake. 400 with one entry for each thing that is missing, or not valid on
    its chain; also if no series is named and not exactly one job has finished: then with the jobs that could be sold.
    With `dry_run`, in the query or the body, 200 with all of them and the metadata that it would have on each chain;
    nothing is recorded.
    """
    body = data or PublishBody()
    choice = Choice(body.job_id, body.generations)
    if dry_run or body.dry_run:
        check = await publication_queries.check(principal.user_id, collection_id, choice, body.publish_date)
        return Response[Published](Envelope(check))
    resolution = await publication_queries.resolution(principal.user_id, collection_id, choice)
    command = PublishCollection(principal.user_id, runtime.clock(), body.publish_date, choice, resolution)
    response = await change.apply_and_view(collection_id, partial(publishing.decide, command))
    publication = await publication_queries.publication(response.content.data)
    return Response[Published](Envelope(publication), headers=response.headers)


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
