"""Importing workflows from folders, one folder for each."""

import json
from collections.abc import Iterable
from pathlib import Path

import structlog

from services.generation.handlers.commands import CommandHandlers
from shared.contracts.problem import Problem
from shared.eventstore import Context

log = structlog.get_logger()


async def import_workflows(handlers: CommandHandlers, folders: Iterable[Path]) -> None:
    """Registers each folder's `*.json` as a workflow of the folder's name. Idempotent.

    Raises ValueError for a folder that is not a valid workflow.
    """
    for folder in folders:
        definition = {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}
        context = Context(command_id=handlers.new_id(), actor="import")
        try:
            handled = await handlers.register_workflow(folder.name, definition, context)
        except Problem as problem:
            raise ValueError(f"{folder}: {problem.detail}: {problem.details}") from problem
        if handled.events:
            log.info("workflow_imported", workflow=folder.name, version=handled.version)
