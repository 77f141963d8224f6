"""HTTP → command or query → response."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter
from msgspec import UNSET, UnsetType

from services.collections.domain.collection import Collection
from services.collections.domain.fields import FieldChanges
from services.collections.domain.project import Project
from services.collections.handlers import Handlers
from services.collections.queries import Queries
from services.collections.settings import CollectionsSettings
from services.collections.views import (
    CollectionSummary,
    CollectionView,
    ComponentAssetView,
    ProjectView,
    collection_view_of_state,
    project_view_of_state,
)
from shared.contracts.problem import Detail, Problem
from shared.eventstore import Handled, Loaded
from shared.http import (
    ApiRequest,
    CommandContext,
    Cursor,
    Envelope,
    ExpectedVersion,
    FromPath,
    FromQuery,
    JSONBody,
    Limit,
    Page,
    User,
    etag,
    versioned,
)
from shared.runtime import Runtime

Commands = NamedDependency[Handlers]
Questions = NamedDependency[Queries]
Frame = NamedDependency[Runtime]

Id64 = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]
AssetId = Annotated[int | None, QueryParameter(ge=1, le=2**63 - 1, description="An asset to start from")]

ANYONE = {"public": True}


class NewProject(msgspec.Struct, frozen=True):
    name: str


class CollectionBody(FieldChanges, frozen=True, kw_only=True):
    """Publishing fields and the GenerationInput. What is left out stays as it is, or as it begins."""

    data: dict[str, Any] | UnsetType | None = UNSET


@get("/projects", summary="Your projects")
async def list_projects(
    principal: User, questions: Questions, limit: Limit = 20, cursor: Cursor = None
) -> Page[ProjectView]:
    """Oldest first, so the default project, once made, is among the first."""
    return await questions.projects(principal.user_id, limit, cursor)


@post("/projects", summary="Create a project")
async def create_project(
    data: JSONBody[NewProject],
    principal: User,
    context: CommandContext,
    commands: Commands,
    questions: Questions,
    frame: Frame,
) -> Envelope[ProjectView]:
    """A folder for collections, under a name of your choice."""
    made = await commands.create_project(principal.user_id, data.name, context)
    return await _project_answer(made, questions, frame)


@post("/projects/untitled", summary="Create an untitled project")
async def create_untitled_project(
    principal: User, context: CommandContext, commands: Commands, questions: Questions, frame: Frame
) -> Envelope[ProjectView]:
    """Named Untitled, Untitled 2, Untitled 3 and so on."""
    known = await questions.untitled_projects(principal.user_id)
    made = await commands.create_untitled_project(principal.user_id, known, context)
    return await _project_answer(made, questions, frame)


@get("/projects/{project_id:uuid}/collections", summary="A project's collections")
async def list_collections_of_project(
    project_id: FromPath[UUID],
    principal: User,
    questions: Questions,
    *,
    archived: FromQuery[bool] = False,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> Page[CollectionSummary]:
    """Newest first; those that are archived instead of those that are not with `archived=true`."""
    return await questions.collections_of_project(principal.user_id, project_id, limit, cursor, archived=archived)


@get("/projects/{project_id:uuid}/collections/current", summary="A project's current collection")
async def get_current_collection(
    project_id: FromPath[UUID], principal: User, questions: Questions, request: ApiRequest
) -> Response[Envelope[CollectionView] | None]:
    """The one that you chose to work on; 404 while none is chosen."""
    found = await questions.current_collection(principal.user_id, project_id)
    return versioned(request, Envelope(found), found.version)


@post("/projects/collections", summary="Create a collection")
async def create_collection(
    data: JSONBody[CollectionBody],
    principal: User,
    context: CommandContext,
    commands: Commands,
    questions: Questions,
    frame: Frame,
    project_id: FromQuery[UUID | None] = None,
    asset_id: AssetId = None,
) -> Response[Envelope[CollectionView]]:
    """From what made an asset of yours, from `data`, or from the default instructions, in this order.

    It lands in the project given, or in your default one. Every step gets a component of its own: its id moves to
    `fromId`, and every reference to it follows.
    """
    instructions = None if data.data is UNSET else data.data
    if asset_id is not None:
        instructions = await questions.input_of_asset(principal.user_id, asset_id)
    made = await commands.create_collection(principal.user_id, project_id, data, instructions, context)
    return await _collection_answer(made, questions, frame, status=201)


@put("/projects/{project_id:uuid}/collections/{collection_id:uuid}", summary="Edit a collection", status_code=204)
async def edit_collection(
    project_id: FromPath[UUID],
    collection_id: FromPath[UUID],
    data: JSONBody[CollectionBody],
    principal: User,
    context: CommandContext,
    expected_version: ExpectedVersion,
    commands: Commands,
    frame: Frame,
) -> Response[None]:
    """Changes what the body mentions. With If-Match, only while the collection is at that version."""
    _demand_if_match(expected_version, frame)
    instructions = None if data.data is UNSET else data.data
    edited = await commands.edit_collection(
        principal.user_id, project_id, collection_id, data, instructions, context, expected_version
    )
    await frame.caught_up(edited.position)
    return Response(None, status_code=204, headers={"etag": etag(edited.version)})


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


@post("/collections/{collection_id:uuid}/publish", summary="Publish a collection", status_code=200)
async def publish_collection(
    collection_id: FromPath[UUID],
    principal: User,
    context: CommandContext,
    expected_version: ExpectedVersion,
    commands: Commands,
    questions: Questions,
    frame: Frame,
) -> Response[Envelope[CollectionView]]:
    """From now on everybody sees it, and what was sold no longer changes."""
    _demand_if_match(expected_version, frame)
    done = await commands.publish_collection(principal.user_id, collection_id, context, expected_version)
    return await _collection_answer(done, questions, frame)


@post("/collections/{collection_id:uuid}/archive", summary="Archive a collection", status_code=200)
async def archive_collection(
    collection_id: FromPath[UUID],
    principal: User,
    context: CommandContext,
    expected_version: ExpectedVersion,
    commands: Commands,
    questions: Questions,
    frame: Frame,
) -> Response[Envelope[CollectionView]]:
    """Puts it away: nobody but you sees it, and it doesn't change until it is restored."""
    _demand_if_match(expected_version, frame)
    done = await commands.archive_collection(principal.user_id, collection_id, context, expected_version)
    return await _collection_answer(done, questions, frame)


@post("/collections/{collection_id:uuid}/restore", summary="Restore a collection", status_code=200)
async def restore_collection(
    collection_id: FromPath[UUID],
    principal: User,
    context: CommandContext,
    expected_version: ExpectedVersion,
    commands: Commands,
    questions: Questions,
    frame: Frame,
) -> Response[Envelope[CollectionView]]:
    """Takes it back from the archive, as it was."""
    _demand_if_match(expected_version, frame)
    done = await commands.restore_collection(principal.user_id, collection_id, context, expected_version)
    return await _collection_answer(done, questions, frame)


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


ROUTES = [
    list_projects,
    create_project,
    create_untitled_project,
    list_collections_of_project,
    get_current_collection,
    create_collection,
    edit_collection,
    list_published_collections,
    get_collection,
    get_public_collection,
    publish_collection,
    archive_collection,
    restore_collection,
    list_assets_of_component,
]


async def _project_answer(made: Handled[Project], questions: Queries, frame: Runtime) -> Envelope[ProjectView]:
    project_id, user_id = made.state.project_id, made.state.user_id
    assert project_id is not None, "a created project has its id"
    assert user_id is not None, "a created project has its user"
    await frame.caught_up(made.position)
    shown = await questions.project(user_id, project_id)
    return Envelope(shown or project_view_of_state(made.state, frame.clock()))


async def _collection_answer(
    done: Handled[Collection] | Loaded[Collection], questions: Queries, frame: Runtime, *, status: int = 200
) -> Response[Envelope[CollectionView]]:
    """The collection after a write, with its ETag; from the state itself while the read tables are far behind."""
    assert done.state.collection_id is not None, "a collection that was written has its id"
    await frame.caught_up(done.position)
    shown = await questions.collection(done.state.collection_id)
    if shown is None or shown.version < done.version:
        shown = collection_view_of_state(done.state, done.version, frame.clock())
    return Response(Envelope(shown), status_code=status, headers={"etag": etag(shown.version)})


def _demand_if_match(expected_version: int | None, frame: Runtime) -> None:
    settings = frame.settings
    if expected_version is None and isinstance(settings, CollectionsSettings) and settings.require_if_match:
        raise Problem(
            "PRECONDITION_REQUIRED",
            "Send If-Match with the ETag of the collection as you read it",
            Detail("header:If-Match", "is required"),
        )
