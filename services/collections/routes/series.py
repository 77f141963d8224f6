"""Which artworks are a collection's tokens: chosen by its owner, listed for everybody once it is published."""

from functools import partial
from uuid import UUID

from litestar import Response, get, put
from litestar.di import NamedDependency

from services.collections.domain.collection import selection
from services.collections.domain.collection.selection import Choice, ChooseSeries
from services.collections.queries.publication import PublicationQueries
from services.collections.queries.token_list import TokenListQueries
from services.collections.routes import examples
from services.collections.routes.answers import CollectionChange
from services.collections.routes.bodies import SeriesBody
from services.collections.routes.documentation import documented
from services.collections.routes.metadata import RECOGNIZING, reader_of
from services.collections.views.series import ChosenSeriesView, TokenPage
from shared.http import ApiRequest, Cursor, Envelope, FromPath, JSONBody, Limit, User
from shared.http.etag import etag
from shared.http.positions import WITHOUT_TABLES, following


@put(
    "/collections/{collection_id:uuid}/series",
    summary="Choose the artworks to sell",
    status_code=200,
    opt=following("generation"),
    operation_class=documented(request=examples.SERIES, response=examples.data(examples.SERIES)),
)
async def choose_series(
    collection_id: FromPath[UUID],
    data: JSONBody[SeriesBody],
    principal: User,
    change: NamedDependency[CollectionChange],
    publication_queries: NamedDependency[PublicationQueries],
) -> Response[Envelope[ChosenSeriesView]]:
    """Of a draft: artworks of one finished job, in the order of their tokens; the others are left out.

    Publishing sells them if it names no others. 400 with a pointer for each generation that is not finished, not of
    this job, or named twice; 409 once the collection is published or scheduled.
    """
    choice = Choice(data.job_id, data.generations)
    job = await publication_queries.job(principal.user_id, collection_id, choice)
    command = ChooseSeries(principal.user_id, job, data.generations)
    handled = await change.handle(collection_id, partial(selection.decide, command))
    assert handled.state.series is not None, "the command has chosen one"
    view = ChosenSeriesView(handled.state.series.job_id, handled.state.series.gids)
    return Response(Envelope(view), headers={"etag": etag(handled.version)})


@get(
    "/collections/{collection_id:uuid}/series",
    summary="The artworks chosen to be sold",
    opt=WITHOUT_TABLES,
    operation_class=documented(response=examples.data(examples.SERIES)),
)
async def get_series(
    collection_id: FromPath[UUID], principal: User, publication_queries: NamedDependency[PublicationQueries]
) -> Envelope[ChosenSeriesView]:
    """What is sold, is scheduled to be, or was chosen to be; for its owner. 404 while nothing is chosen."""
    return Envelope(await publication_queries.chosen_series(principal.user_id, collection_id))


@get(
    "/collections/{collection_id:uuid}/tokens",
    summary="A collection's tokens",
    opt=RECOGNIZING | following("generation", "storage"),
    operation_class=documented(response=examples.TOKENS),
)
async def list_tokens(
    collection_id: FromPath[UUID],
    request: ApiRequest,
    token_list_queries: NamedDependency[TokenListQueries],
    limit: Limit = 20,
    cursor: Cursor = None,
) -> TokenPage:
    """In the order of their numbers, with their pictures; of what is published, or is yours.

    `count` is the number of all tokens, and `job_id` the job that made them. Of a draft for which nothing is chosen, it
    is the last job that has finished.
    """
    return await token_list_queries.tokens(reader_of(request), collection_id, limit, cursor)
