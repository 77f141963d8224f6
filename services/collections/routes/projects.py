"""A user's projects, the collections in them, and the current one."""

from typing import Annotated
from uuid import UUID

from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from services.collections.domain.collection.state import Status
from services.collections.handlers.project import ProjectHandlers
from services.collections.queries.collection import Queries
from services.collections.queries.lists import ListQueries
from services.collections.routes import examples
from services.collections.routes.answers import project_answer, variant_of
from services.collections.routes.bodies import ProjectBody
from services.collections.routes.documentation import documented
from services.collections.views.collection import CollectionSummary, CollectionView
from services.collections.views.project import ProjectView
from shared.http import (
    ApiRequest,
    CommandContext,
    Cursor,
    Envelope,
    FromPath,
    FromQuery,
    JSONBody,
    Limit,
    Page,
    User,
    versioned,
)
from shared.http.etag import etag
from shared.http.positions import SHOWN_WITHIN, WITHOUT_TABLES
from shared.runtime import Runtime

OfStatus = Annotated[Status | None, QueryParameter(description="Only drafts, or only what is published")]


@get("/projects", summary="Your projects", operation_class=documented(response=examples.page(examples.PROJECT)))
async def list_projects(
    principal: User, list_queries: NamedDependency[ListQueries], limit: Limit = 20, cursor: Cursor = None
) -> Page[ProjectView]:
    """Oldest first, so the default project is among the first once it exists."""
    return await list_queries.projects(principal.user_id, limit, cursor)


@post(
    "/projects",
    summary="Create a project",
    operation_class=documented(request={"name": "Tides"}, response=examples.data(examples.PROJECT)),
)
async def create_project(
    data: JSONBody[ProjectBody],
    principal: User,
    context: CommandContext,
    project_handlers: NamedDependency[ProjectHandlers],
) -> Envelope[ProjectView]:
    """A folder for collections, under a name of your choice."""
    handled = await project_handlers.create_project(principal.user_id, data.name, context)
    return project_answer(handled)


@post(
    "/projects/untitled",
    summary="Create an untitled project",
    operation_class=documented(response=examples.data(examples.PROJECT | {"name": "Untitled 2", "is_default": False})),
)
async def create_untitled_project(
    principal: User,
    context: CommandContext,
    project_handlers: NamedDependency[ProjectHandlers],
    list_queries: NamedDependency[ListQueries],
    runtime: NamedDependency[Runtime],
) -> Envelope[ProjectView]:
    """Named Untitled, Untitled 2, Untitled 3 and so on."""
    await runtime.history.wait_for_answers(SHOWN_WITHIN)
    count = await list_queries.untitled_projects(principal.user_id)
    handled = await project_handlers.create_untitled_project(principal.user_id, count, context)
    return project_answer(handled)


@put(
    "/projects/{project_id:uuid}",
    summary="Rename a project",
    operation_class=documented(request={"name": "Tides"}, response=examples.data(examples.PROJECT)),
)
async def rename_project(
    project_id: FromPath[UUID],
    data: JSONBody[ProjectBody],
    principal: User,
    context: CommandContext,
    project_handlers: NamedDependency[ProjectHandlers],
) -> Envelope[ProjectView]:
    """Its collections stay in it."""
    handled = await project_handlers.rename_project(principal.user_id, project_id, data.name, context)
    return project_answer(handled)


@get(
    "/projects/{project_id:uuid}/collections",
    summary="A project's collections",
    operation_class=documented(response=examples.page(examples.SUMMARY)),
)
async def list_collections_of_project(
    project_id: FromPath[UUID],
    principal: User,
    list_queries: NamedDependency[ListQueries],
    *,
    archived: FromQuery[bool] = False,
    status: OfStatus = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[CollectionSummary]:
    """Newest first, without archived ones; with `archived=true`, only archived ones."""
    return await list_queries.collections_of_project(
        principal.user_id, project_id, limit, cursor, archived=archived, status=status
    )


@get(
    "/projects/{project_id:uuid}/collections/current",
    summary="A project's current collection",
    opt=WITHOUT_TABLES,
    operation_class=documented(response=examples.data(examples.DRAFT | {"is_current": True})),
)
async def get_current_collection(
    project_id: FromPath[UUID], principal: User, queries: NamedDependency[Queries], request: ApiRequest
) -> Response[Envelope[CollectionView] | None]:
    """The collection that you chose to work on; 404 while none is chosen."""
    collection = await queries.current_collection(principal.user_id, project_id)
    # Of another collection at the same version, this address has another representation.
    return versioned(request, Envelope(collection), collection.version, f"current-{collection.id}")


@post(
    "/collections/{collection_id:uuid}/current",
    summary="Make a collection the current one",
    status_code=200,
    operation_class=documented(response=examples.data(examples.DRAFT | {"is_current": True})),
)
async def choose_current_collection(
    collection_id: FromPath[UUID],
    principal: User,
    context: CommandContext,
    project_handlers: NamedDependency[ProjectHandlers],
    queries: NamedDependency[Queries],
) -> Response[Envelope[CollectionView]]:
    """Makes it the collection of its project that you work on, instead of the previous one."""
    await project_handlers.choose_current(principal.user_id, collection_id, context)
    view = await queries.owned_collection(principal.user_id, collection_id)
    return Response(Envelope(view), headers={"etag": etag(view.version, variant_of(view))})
