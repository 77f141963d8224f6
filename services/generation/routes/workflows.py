"""The workflows that a collection's steps can name."""

from litestar import get
from litestar.di import NamedDependency

from services.generation.queries import Queries
from services.generation.views import WorkflowView
from shared.http import Envelope, FromPath, Page


@get("/workflows", summary="The workflows that steps can name")
async def list_workflows(queries: NamedDependency[Queries]) -> Page[WorkflowView]:
    return Page(await queries.workflows())


@get("/workflows/{workflow:str}", summary="One workflow, by id or name")
async def read_workflow(workflow: FromPath[str], queries: NamedDependency[Queries]) -> Envelope[WorkflowView]:
    return Envelope(await queries.workflow(workflow))
