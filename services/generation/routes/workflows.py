"""The workflows that a collection's steps can name: for all users to read, and for operators to register."""

from typing import Any

import msgspec
from litestar import Response, get, post, put
from litestar.di import NamedDependency

from services.generation.domain.workflow import Pause, Unpause, workflow_id
from services.generation.handlers.commands import CommandHandlers
from services.generation.handlers.workflow_registry import WorkflowRegistry
from services.generation.handlers.workflow_tests import WorkflowTests
from services.generation.queries.workflow import WorkflowQueries
from services.generation.routes.job_control import PauseRequest
from services.generation.routes.job_requests import AcceptedJob
from services.generation.views.job import events_url
from services.generation.views.workflow import (
    DeprecatedWorkflow,
    ModelView,
    PausedWorkflow,
    RegisteredWorkflow,
    WorkflowDetails,
    WorkflowView,
)
from shared.contracts.problem import Detail, invalid
from shared.http import CommandContext, Envelope, FromPath, JSONBody, Page, User
from shared.runtime import Runtime

OPERATORS = {"roles": {"operator"}}


class NewWorkflow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`definition`: a member per file of the workflow's folder, such as `form`, `inputs`, `job` and `credits`.

    `type` follows from the definition; one that is written must agree. With `dry_run`, nothing is recorded.
    """

    name: str
    definition: dict[str, Any]
    type: str | None = None
    dry_run: bool = False


class ChangedWorkflow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """As for a new workflow; a `name`, if written, is the one in the path."""

    definition: dict[str, Any]
    name: str | None = None
    type: str | None = None
    dry_run: bool = False


class Deprecation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`reason`: for the people whose collections use the workflow."""

    reason: str = "An operator has deprecated it"


class WorkflowTrial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`values`: by field, instead of the workflow's own test values."""

    values: dict[str, Any] = {}


@get("/workflows", summary="The workflows that steps can name")
async def list_workflows(workflow_queries: NamedDependency[WorkflowQueries]) -> Page[WorkflowView]:
    return Page(await workflow_queries.workflows())


@get("/workflows/{workflow:str}", summary="One workflow, by id or name")
async def read_workflow(
    workflow: FromPath[str], workflow_queries: NamedDependency[WorkflowQueries]
) -> Envelope[WorkflowDetails]:
    return Envelope(await workflow_queries.workflow(workflow))


@get("/workflows/{workflow:str}/models", summary="The models that a workflow needs")
async def list_models_of_workflow(
    workflow: FromPath[str], workflow_queries: NamedDependency[WorkflowQueries]
) -> Page[ModelView]:
    """The files that its graph loads or downloads, and those of its `required_models.json`."""
    return Page(await workflow_queries.models_of(workflow))


@post("/workflows", summary="Register a workflow", opt=OPERATORS)
async def register_workflow(
    data: JSONBody[NewWorkflow], context: CommandContext, registry: NamedDependency[WorkflowRegistry]
) -> Response[Envelope[RegisteredWorkflow]]:
    """For operators. A new workflow, or the next version of one; the same definition again changes nothing.

    201 if it is added, else 200. Jobs keep the version that they began with.
    """
    registered = await registry.register(
        data.name, data.definition, context, written_type=data.type, dry_run=data.dry_run
    )
    is_new = registered.outcome == "added" and not data.dry_run
    return Response(Envelope(registered), status_code=201 if is_new else 200)


@put("/workflows/{workflow:str}", summary="Change a workflow", opt=OPERATORS)
async def change_workflow(
    workflow: FromPath[str],
    data: JSONBody[ChangedWorkflow],
    context: CommandContext,
    registry: NamedDependency[WorkflowRegistry],
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[RegisteredWorkflow]:
    """For operators. Another definition is the next version, and ends a deprecation."""
    name = await handlers.workflow_name(workflow)
    if data.name not in (None, name):
        raise invalid("A workflow's name never changes", Detail("/name", f"is {name!r}; leave it out"))
    registered = await registry.register(name, data.definition, context, written_type=data.type, dry_run=data.dry_run)
    return Envelope(registered)


@post("/workflows/{workflow:str}/deprecate", status_code=200, summary="Deprecate a workflow", opt=OPERATORS)
async def deprecate_workflow(
    workflow: FromPath[str],
    data: JSONBody[Deprecation],
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[DeprecatedWorkflow]:
    """For operators. Marks it as deprecated; collections that use it still run."""
    name = await handlers.workflow_name(workflow)
    if not 1 <= len(data.reason) <= 500:
        raise invalid("The reason is not valid", Detail("/reason", "must have 1 to 500 characters"))
    state = (await handlers.deprecate_workflow(name, data.reason, context)).state
    return Envelope(DeprecatedWorkflow(workflow_id(name), name, state.version, state.deprecated or data.reason))


@post("/workflows/{workflow:str}/pause", status_code=200, summary="Pause a workflow", opt=OPERATORS)
async def pause_workflow(
    workflow: FromPath[str],
    data: JSONBody[PauseRequest],
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
) -> Envelope[PausedWorkflow]:
    """For operators: steps that workers have go on, and no further step of it, of any job, is sent to a worker.

    Jobs that wait for it show this in `waiting_for`, and don't expire. Other steps of these jobs run. New versions are
    paused too.
    """
    name = await handlers.workflow_name(workflow)
    state = (await handlers.pause_workflow(Pause(name, data.reason), context)).state
    return Envelope(PausedWorkflow(workflow_id(name), name, state.version, state.is_paused))


@post("/workflows/{workflow:str}/unpause", status_code=200, summary="Continue a paused workflow", opt=OPERATORS)
async def unpause_workflow(
    workflow: FromPath[str], context: CommandContext, handlers: NamedDependency[CommandHandlers]
) -> Envelope[PausedWorkflow]:
    """For operators: steps of the workflow are sent to workers again. Idempotent."""
    name = await handlers.workflow_name(workflow)
    state = (await handlers.pause_workflow(Unpause(name), context)).state
    return Envelope(PausedWorkflow(workflow_id(name), name, state.version, state.is_paused))


@post("/workflows/{workflow:str}/test", status_code=202, summary="Test a workflow", opt=OPERATORS)
async def test_workflow(
    workflow: FromPath[str],
    data: JSONBody[WorkflowTrial],
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    workflow_tests: NamedDependency[WorkflowTests],
    runtime: NamedDependency[Runtime],
) -> Envelope[AcceptedJob]:
    """For operators. Runs one step with its test values: a job of type `workflow_test`, which is not charged."""
    name = await handlers.workflow_name(workflow)
    job_id, job = await workflow_tests.request(name, data.values, principal.user_id, context)
    return Envelope(AcceptedJob(job_id, job.status, events_url(runtime.settings.public_url, job_id)))
