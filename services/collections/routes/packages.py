"""Publish packages: one file with a job's artworks and their metadata, which anyone can verify."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.openapi import ResponseSpec

from services.collections.domain.chains import Chain
from services.collections.handlers.package import PackageHandlers, package_id_of
from services.collections.queries.package import PackageQueries
from services.collections.routes import package_examples
from services.collections.routes.documentation import documented
from services.collections.routes.examples import JOB_ID
from services.collections.routes.examples import data as data_of
from services.collections.views.package import PackageView
from shared.http import CommandContext, Envelope, FromPath, JSONBody, User
from shared.http.positions import following
from shared.http.problems import ProblemBody


class PackageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`job_id`: a finished job of the collection. Without it, the job of the series that is sold or chosen to be.

    `chains`: those that it has metadata for. Without them, that is the collection's blockchain, or all chains while
    that is not set. `allow_local`: also while PUBLIC_URL, to which the metadata links, is a loopback address.
    """

    job_id: UUID | None = None
    chains: Annotated[list[Chain], msgspec.Meta(min_length=1)] | None = None
    allow_local: bool = False


@post(
    "/collections/{collection_id:uuid}/packages",
    summary="Package a job's artworks",
    opt=following("generation", "storage"),
    status_code=202,
    operation_class=documented(request={"job_id": JOB_ID}, response=data_of(package_examples.REQUESTED)),
)
async def request_package(
    collection_id: FromPath[UUID],
    data: JSONBody[PackageBody],
    principal: User,
    context: CommandContext,
    package_handlers: NamedDependency[PackageHandlers],
    package_queries: NamedDependency[PackageQueries],
) -> Response[Envelope[PackageView]]:
    """Every artwork and its metadata, with a manifest, as one CAR file whose root is an IPFS address.

    There is one package for each job. A repeated request returns the same one, unless the chains or the collection's
    metadata have changed, the collection has been published since, or the last attempt failed or was cancelled: then
    it is built again. That may take long: `GET` it until its status is no longer `requested`, and see its `progress`.
    The roots of a published collection's packages are public.
    """
    handled = await package_handlers.request(
        principal.user_id, collection_id, data.job_id, data.chains, context, allow_local=data.allow_local
    )
    package_id = package_id_of(handled)
    location = {"location": f"/collections/{collection_id}/packages/{package_id}"}
    return Response(Envelope(await package_queries.view(package_id, handled)), status_code=202, headers=location)


@get(
    "/collections/{collection_id:uuid}/packages/{package_id:uuid}",
    summary="A publish package",
    opt=following("storage"),
    operation_class=documented(response=data_of(package_examples.STORED)),
)
async def get_package(
    collection_id: FromPath[UUID],
    package_id: FromPath[UUID],
    principal: User,
    package_queries: NamedDependency[PackageQueries],
) -> Envelope[PackageView]:
    """Its status, and once it is stored its file and its manifest. `emprops verify-package` checks the file offline."""
    return Envelope(await package_queries.package(principal.user_id, collection_id, package_id))


@post(
    "/collections/{collection_id:uuid}/packages/{package_id:uuid}/cancel",
    summary="Cancel a package",
    opt=following("storage"),
    status_code=200,
    responses={
        202: ResponseSpec(Envelope[PackageView], description="It is being cancelled", generate_examples=False),
        409: ResponseSpec(ProblemBody, description="It has ended otherwise", generate_examples=False),
    },
    operation_class=documented(response=data_of(package_examples.CANCELLING)),
)
async def cancel_package(
    collection_id: FromPath[UUID],
    package_id: FromPath[UUID],
    principal: User,
    context: CommandContext,
    package_handlers: NamedDependency[PackageHandlers],
    package_queries: NamedDependency[PackageQueries],
) -> Response[Envelope[PackageView]]:
    """Stops the build of a package; what it has written is deleted. Cancelling it again gives the same answer.

    It is `cancelling` until storage has stopped it; if the file is complete by then, it is `stored`. Request it again
    to have it built after all.
    """
    handled = await package_handlers.cancel(principal.user_id, collection_id, package_id, context)
    view = await package_queries.view(package_id, handled)
    return Response(Envelope(view), status_code=202 if view.status == "cancelling" else 200)
