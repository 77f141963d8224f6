"""Registering a workflow, or with `dry_run` checking what its registration would change."""

from typing import Any

from services.generation.cost_function import cost_functions
from services.generation.domain.workflow import read_definition, workflow_id
from services.generation.domain.workflow.types import type_of
from services.generation.handlers.commands import CommandHandlers
from services.generation.views.workflow import RegisteredWorkflow
from shared.contracts.problem import Detail, Problem, invalid
from shared.eventstore import Context

NAME, TYPE = "/name", "/type"


class WorkflowRegistry:
    def __init__(self, handlers: CommandHandlers) -> None:
        self._handlers = handlers

    async def register(
        self, name: str, definition: dict[str, Any], context: Context, *, written_type: str | None, dry_run: bool
    ) -> RegisteredWorkflow:
        """`written_type`: as the client states it. Raises VALIDATION_FAILED, its pointers into the request's body."""
        try:
            kind = type_of(definition)
            if written_type not in (None, kind):
                raise _wrong_type(kind)
            before, changes = await self._handlers.check_workflow(name, definition)
            version = before.version + 1 if changes else before.version
            if changes and not dry_run:
                version = (await self._handlers.register_workflow(name, definition, context)).state.version
        except Problem as problem:
            raise Problem(problem.code, problem.detail, *map(_in_body, problem.details)) from problem
        parsed = read_definition(name, version, definition, cost_functions)
        return RegisteredWorkflow(
            id=workflow_id(name),
            name=name,
            version=version,
            type=parsed.type,
            outcome="unchanged" if not changes else "new version" if before.version else "added",
            notes=list(parsed.template.notes),
            dry_run=dry_run,
        )


def _wrong_type(kind: str) -> Problem:
    return invalid("The workflow's type is not valid", Detail(TYPE, f"is {kind} by the definition's members"))


def _in_body(detail: Detail) -> Detail:
    if detail.pointer in (NAME, TYPE):
        return detail
    return Detail(f"/definition{detail.pointer}", detail.message)
