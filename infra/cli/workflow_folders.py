"""A component library on disk: its workflows' folders as definitions."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from services.generation.domain.workflow.folder import SHARED_LISTS, definition_of, is_workflow_folder
from shared.contracts.problem import Detail, Problem

MAX_FILE = 4 * 1024 * 1024
"""Bytes of a file that is read."""


class WorkflowFolder(NamedTuple):
    """`faults`: why it can't be read; then there is no definition."""

    name: str
    definition: dict[str, Any] | None
    faults: list[Detail]


def read_library(folder: Path) -> Iterator[WorkflowFolder]:
    """The workflows of a library, by name. Raises ValueError for a file of option lists that is not JSON."""
    lists = {path.name: _json(path) for path in sorted((folder / SHARED_LISTS).glob("*.json"))}
    for path in sorted(folder.iterdir()):
        if path.is_dir() and is_workflow_folder(path.name):
            yield _read(path, lists)


def _read(folder: Path, lists: dict[str, Any]) -> WorkflowFolder:
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and path.stat().st_size <= MAX_FILE]
    try:
        definition = definition_of(folder.name, {path.name: path.read_bytes() for path in paths}, lists)
    except Problem as problem:
        return WorkflowFolder(folder.name, None, problem.details)
    return WorkflowFolder(folder.name, definition, [])


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
