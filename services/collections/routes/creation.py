"""Creates collections: from instructions, or from another collection."""

from typing import Annotated
from uuid import UUID

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import UNSET

from services.collections.domain.collection.state import Custody
from services.collections.handlers.collection import CommandHandlers
from services.collections.queries.collection import Queries
from services.collections.queries.component_asset import ComponentAssetQueries
from services.collections.routes import examples
from services.collections.routes.answers import collection_answer
from services.collections.routes.bodies import CollectionBody, RemixBody
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from shared.contracts.problem import Detail, invalid
from shared.http import CommandContext, Envelope, FromPath, FromQuery, JSONBody, User

AssetId = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="An asset to start from")]


@post(
    "/projects/collections",
    summary="Create a collection",
    operation_class=documented(
        request=examples.FIELDS | {"data": examples.INSTRUCTIONS}, response=examples.data(examples.DRAFT)
    ),
)
async def create_collection(
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    queries: NamedDependency[Queries],
    asset_queries: NamedDependency[ComponentAssetQueries],
    project_id: FromQuery[UUID | None] = None,
    asset_id: AssetId = None,
    data: JSONBody[CollectionBody | None] = None,
) -> Response[Envelope[CollectionView]]:
    """From the input of `asset_id`, else from `data`, else from the default instructions.

    It is created in `project_id`, or in your default project. Every step gets a new component, whose id replaces the
    step's: the old one becomes `fromId`, and references to it are rewritten.
    """
    body = data or CollectionBody()
    instructions = None if body.data is UNSET else body.data
    if asset_id is not None:
        instructions = await asset_queries.input_of_asset(principal.user_id, asset_id)
    handled = await handlers.create_collection(principal.user_id, project_id, body, instructions, context)
    return await collection_answer(handled, queries, status=201)


@post(
    "/collections/{collection_id:uuid}/remix",
    summary="Remix a collection",
    operation_class=documented(
        request={"is_custodial": True, "social_org": "farcaster", "social_identifier": "tidewalker"},
        response=examples.data(examples.FORK),
    ),
)
async def remix_collection(
    collection_id: FromPath[UUID],
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    queries: NamedDependency[Queries],
    data: JSONBody[RemixBody | None] = None,
) -> Response[Envelope[CollectionView]]:
    """A draft of yours from a remixable collection, with new components; optionally in custody for a social account."""
    body = data or RemixBody()
    handled = await handlers.fork_collection(principal.user_id, body.project_id, collection_id, _custody(body), context)
    return await collection_answer(handled, queries, status=201)


def _custody(body: RemixBody) -> Custody | None:
    if not body.is_custodial:
        return None
    account = {"social_org": body.social_org, "social_identifier": body.social_identifier}
    missing = [
        Detail(f"/{name}", "is required when is_custodial is true") for name, value in account.items() if not value
    ]
    if missing:
        raise invalid("A custodial collection needs social_org and social_identifier", *missing)
    return Custody(body.social_org or "", body.social_identifier or "")
