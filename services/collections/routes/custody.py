"""Transfers collections in custody."""

from uuid import UUID

from litestar import Response, post
from litestar.di import NamedDependency

from services.collections.handlers.collection import CommandHandlers
from services.collections.queries.collection import Queries
from services.collections.routes import examples
from services.collections.routes.answers import collection_answer
from services.collections.routes.bodies import CustodyBody
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionView
from shared.http import CommandContext, Envelope, FromPath, JSONBody, User


@post(
    "/collections/{collection_id:uuid}/custody",
    summary="Hand over a collection kept for another",
    status_code=200,
    operation_class=documented(request={"user_id": examples.USER_ID}, response=examples.data(examples.DRAFT)),
)
async def transfer_custody(
    collection_id: FromPath[UUID],
    data: JSONBody[CustodyBody],
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    queries: NamedDependency[Queries],
) -> Response[Envelope[CollectionView]]:
    """Moves it to that user's default project."""
    handled = await handlers.transfer_custody(principal.user_id, collection_id, data.user_id, context)
    return await collection_answer(handled, queries)
