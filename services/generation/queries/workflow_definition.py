"""Definitions of workflows, by name and version. Cached."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from services.generation.cost_function import cost_functions
from services.generation.deciders import WORKFLOW
from services.generation.domain.workflow import Definition, read_definition, workflow_id
from shared.contracts.generation import WorkflowRegistered
from shared.eventstore import EventStore

PAGE = 20
"""Events of a workflow that are read at a time."""


class CurrentWorkflow(NamedTuple):
    """The newest definition of a workflow. `deprecated`: why; empty if it is not."""

    definition: Definition
    deprecated: str


class WorkflowDefinitions:
    """Definitions by name and version, each read once: a version never changes."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._definitions: dict[tuple[str, int], Definition] = {}

    async def newest(self, name: str) -> Definition | None:
        """None if no workflow has this name."""
        current = await self.current(name)
        return None if current is None else current.definition

    async def current(self, name: str) -> CurrentWorkflow | None:
        """None if no workflow has this name."""
        state = (await self._store.load(WORKFLOW, workflow_id(name))).state
        if not state.version:
            return None
        return CurrentWorkflow(self._read(name, state.version, state.definition), state.deprecated)

    async def all_current(self, names: Iterable[str]) -> dict[str, CurrentWorkflow]:
        """Those that exist, by name."""
        workflows = {name: await self.current(name) for name in dict.fromkeys(names)}
        return {name: workflow for name, workflow in workflows.items() if workflow is not None}

    async def version(self, name: str, version: int) -> Definition:
        definition = self._definitions.get((name, version))
        if definition is None:
            registered = await self._registered(name, version)
            definition = self._read(name, version, registered.definition)
        return definition

    async def _registered(self, name: str, version: int) -> WorkflowRegistered:
        after = version - 1  # each version has an event, and there may be others between them
        while events := await self._store.read_stream(workflow_id(name), after=after, limit=PAGE):
            for recorded in events:
                if isinstance(recorded.event, WorkflowRegistered) and recorded.event.version == version:
                    return recorded.event
            after += len(events)
        raise LookupError(f"the workflow {name} has no version {version}")

    def _read(self, name: str, version: int, document: Mapping[str, Any]) -> Definition:
        key = (name, version)
        if key not in self._definitions:
            self._definitions[key] = read_definition(name, version, document, cost_functions)
        return self._definitions[key]
