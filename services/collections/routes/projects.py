"""A user's projects, and what is in them."""

from typing import Annotated
from uuid import UUID

from litestar import Response, get, post, put
from litestar.params import QueryParameter

from services.collections import examples
from services.collections.domain.collection.state import Status
from services.collections.examples import shown
from services.collections.routes.answers import Commands, Frame, Questions, project_answer, variant_of
from services.collections.routes.bodies import ProjectBody
from services.collections.views import CollectionSummary, CollectionView, ProjectView
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
from shared.http.positions import SHOWN_WITHIN, WITHOUT_TABLES

OfStatus = Annotated[Status | None, QueryParameter(description="Only drafts, or only what is published")]


@get("/projects", summary="Your projects", operation_class=shown(gives=examples.page(examples.PROJECT)))
async def list_projects(
    principal: User, questions: Questions, limit: Limit = 20, cursor: Cursor = None
) -> Page[ProjectView]:
    """Oldest first, so the default project, once made, is among the first."""
    return await questions.projects(principal.user_id, limit, cursor)


@post(
    "/projects",
    summary="Create a project",
    operation_class=shown(takes={"name": "Tides"}, gives=examples.data(examples.PROJECT)),
)
async def create_project(
    data: JSONBody[ProjectBody],
    principal: User,
    context: CommandContext,
    commands: Commands,
) -> Envelope[ProjectView]:
    """A folder for collections, under a name of your choice."""
    made = await commands.create_project(principal.user_id, data.name, context)
    return project_answer(made)


@post(
    "/projects/untitled",
    summary="Create an untitled project",
    operation_class=shown(gives=examples.data(examples.PROJECT | {"name": "Untitled 2", "is_default": False})),
)
async def create_untitled_project(
    principal: User, context: CommandContext, commands: Commands, questions: Questions, frame: Frame
) -> Envelope[ProjectView]:
    """Named Untitled, Untitled 2, Untitled 3 and so on."""
    await frame.history.shows_answered(SHOWN_WITHIN)
    known = await questions.untitled_projects(principal.user_id)
    made = await commands.create_untitled_project(principal.user_id, known, context)
    return project_answer(made)


@put(
    "/projects/{project_id:uuid}",
    summary="Rename a project",
    operation_class=shown(takes={"name": "Tides"}, gives=examples.data(examples.PROJECT)),
)
async def rename_project(
    project_id: FromPath[UUID],
    data: JSONBody[ProjectBody],
    principal: User,
    context: CommandContext,
    commands: Commands,
) -> Envelope[ProjectView]:
    """Its collections stay in it."""
    renamed = await commands.rename_project(principal.user_id, project_id, data.name, context)
    return project_answer(renamed)


@get(
    "/projects/{project_id:uuid}/collections",
    summary="A project's collections",
    operation_class=shown(gives=examples.page(examples.SUMMARY)),
)
async def list_collections_of_project(
    project_id: FromPath[UUID],
    principal: User,
    questions: Questions,
    *,
    archived: FromQuery[bool] = False,
    status: OfStatus = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[CollectionSummary]:
    """Newest first; those that are archived instead of those that are not with `archived=true`."""
    return await questions.collections_of_project(
        principal.user_id, project_id, limit, cursor, archived=archived, status=status
    )


@get(
    "/projects/{project_id:uuid}/collections/current",
    summary="A project's current collection",
    opt=WITHOUT_TABLES,
    operation_class=shown(gives=examples.data(examples.DRAFT | {"is_current": True})),
)
async def get_current_collection(
    project_id: FromPath[UUID], principal: User, questions: Questions, request: ApiRequest
) -> Response[Envelope[CollectionView] | None]:
    """The one that you chose to work on; 404 while none is chosen."""
    collection = await questions.current_collection(principal.user_id, project_id)
    return versioned(request, Envelope(collection), collection.version, variant_of(collection))
