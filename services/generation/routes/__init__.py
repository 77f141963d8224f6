"""HTTP → command or query → response. Amounts are JSON numbers, exact to 6 decimals."""

from litestar import Router
from litestar.types import ControllerRouterHandler

from services.generation.routes.grant_keys import list_grant_keys
from services.generation.routes.job_control import cancel_job, pause_job, resume_job, unpause_job
from services.generation.routes.job_events import follow_job
from services.generation.routes.job_requests import generate
from services.generation.routes.jobs import list_generations, list_jobs, read_history, read_job
from services.generation.routes.models import change_model, describe_model, list_models, read_models
from services.generation.routes.previews import list_visitors
from services.generation.routes.workers import list_workers
from services.generation.routes.workflows import (
    change_workflow,
    deprecate_workflow,
    list_models_of_workflow,
    list_workflows,
    pause_workflow,
    read_workflow,
    register_workflow,
    test_workflow,
    unpause_workflow,
)
from shared.http.amounts import ExactResponse

ROUTES: list[ControllerRouterHandler] = [
    Router(
        "/",
        route_handlers=[
            generate,
            list_visitors,
            list_jobs,
            read_job,
            list_generations,
            read_history,
            follow_job,
            cancel_job,
            resume_job,
            pause_job,
            unpause_job,
            list_workflows,
            read_workflow,
            list_workers,
            list_models_of_workflow,
            register_workflow,
            change_workflow,
            deprecate_workflow,
            pause_workflow,
            unpause_workflow,
            test_workflow,
            list_models,
            read_models,
            describe_model,
            change_model,
            list_grant_keys,
        ],
        response_class=ExactResponse,
    )
]
