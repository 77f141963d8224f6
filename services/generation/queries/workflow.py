"""Rows → answers: the workflows, which all users share, and the models that they need."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

from services.generation.domain.workflow import Definition, workflow_not_found
from services.generation.domain.workflow.template import Model
from services.generation.domain.workflow.types import form_in, type_of
from services.generation.queries.workflow_definition import WorkflowDefinitions
from services.generation.views.workflow import ModelView, WorkflowDetails, WorkflowView
from shared.eventstore import EventStore

SELECT_WORKFLOWS: LiteralString = """
select workflow_id, name, version, definition, updated_at, deprecated, is_paused, pause_reason
from workflows_v4 order by name"""
SELECT_WORKFLOW: LiteralString = """
select workflow_id, name, version, definition, updated_at, deprecated, is_paused, pause_reason from workflows_v4
where name = %s or workflow_id::text = %s"""
SELECT_MODELS: LiteralString = """
select kind, name, source_url, sha256, size from models_v1 order by kind, name"""


class WorkflowQueries:
    def __init__(self, store: EventStore, definitions: WorkflowDefinitions) -> None:
        self._store, self._definitions = store, definitions

    async def workflows(self) -> list[WorkflowView]:
        """All workflows, by name."""
        return [WorkflowView(**_members(*row)) for row in await self._rows(SELECT_WORKFLOWS)]

    async def workflow(self, id_or_name: str) -> WorkflowDetails:
        """Raises WORKFLOW_NOT_FOUND."""
        row, definition = await self._newest(id_or_name)
        return WorkflowDetails(
            **_members(*row),
            max_generations=definition.max_generations,
            produces=definition.template.produces,
            notes=list(definition.template.notes),
            definition=row[3],
        )

    async def models(self) -> list[ModelView]:
        """Those that operators have described and those that workflows name, by kind and name."""
        described = {Model(row[0], row[1]): row[2:] for row in await self._rows(SELECT_MODELS)}
        users: defaultdict[Model, list[str]] = defaultdict(list)
        for row in await self._rows(SELECT_WORKFLOWS):
            for model in (await self._definition(row)).template.models:
                users[model].append(row[1])
        return [_model(model, described, users) for model in sorted({*described, *users})]

    async def models_of(self, id_or_name: str) -> list[ModelView]:
        """Those that one workflow names. Raises WORKFLOW_NOT_FOUND."""
        _, definition = await self._newest(id_or_name)
        return [model for model in await self.models() if Model(model.kind, model.name) in definition.template.models]

    async def _newest(self, id_or_name: str) -> tuple[tuple[Any, ...], Definition]:
        row = await self._row(id_or_name)
        return row, await self._definition(row)

    async def _definition(self, row: tuple[Any, ...]) -> Definition:
        return await self._definitions.version(row[1], row[2])

    async def _row(self, id_or_name: str) -> tuple[Any, ...]:
        rows = await self._rows(SELECT_WORKFLOW, (id_or_name, id_or_name))
        if not rows:
            raise workflow_not_found(id_or_name)
        return rows[0]

    async def _rows(self, statement: LiteralString, parameters: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        async with self._store.reader() as cursor:
            await cursor.execute(statement, parameters)
            return await cursor.fetchall()


def _members(
    workflow_id: UUID,
    name: str,
    version: int,
    document: dict[str, Any],
    updated_at: datetime,
    deprecated: str | None,
    is_paused: bool,  # noqa: FBT001 - a column
    pause_reason: str,
) -> dict[str, Any]:
    kind = type_of(document)
    cost = document.get("cost")
    return {
        "id": workflow_id,
        "name": name,
        "version": version,
        "type": kind,
        "cost": Decimal(cost["expression"]) if isinstance(cost, Mapping) else None,
        "form": form_in(kind, document),
        "updated_at": updated_at,
        "deprecated": deprecated,
        "is_paused": is_paused,
        "pause_reason": pause_reason,
    }


def _model(model: Model, described: Mapping[Model, tuple[Any, ...]], users: Mapping[Model, list[str]]) -> ModelView:
    source_url, sha256, size = described.get(model, (None, None, None))
    return ModelView(model.kind, model.name, source_url, sha256, size, users.get(model, []))
