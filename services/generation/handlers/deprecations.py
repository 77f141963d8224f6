"""Warnings for steps whose workflow is deprecated: they run, but should use another one."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from uuid import UUID

from services.generation.queries.workflow_definition import WorkflowDefinitions
from shared.contracts.generation import JobRequested
from shared.contracts.generation_input import MAX_DETAILS
from shared.contracts.problem import Detail
from shared.eventstore import EventStore


def deprecations(places: Iterable[tuple[str, str]], deprecated: Mapping[str, str]) -> Iterator[Detail]:
    """A warning for each step, by pointer and workflow, whose workflow is deprecated: MAX_DETAILS at most."""
    uses = ((pointer, name) for pointer, name in places if deprecated.get(name))
    for pointer, name in islice(uses, MAX_DETAILS):
        yield Detail(f"{pointer}/nodeName", f"{name} is deprecated: {deprecated[name]}")


async def recorded_deprecations(store: EventStore, definitions: WorkflowDefinitions, job_id: UUID) -> list[Detail]:
    """Those of a job that was requested before; none if its user may not see the instructions."""
    [recorded] = await store.read_stream(job_id, limit=1)
    if not isinstance(recorded.event, JobRequested) or not recorded.event.shares_instructions:
        return []
    steps = recorded.event.data.get("steps") or []
    places = [(f"/data/steps/{number}", str(step.get("nodeName"))) for number, step in enumerate(steps)]
    current = {name: await definitions.current(name) for _, name in places}
    deprecated = {name: workflow.deprecated for name, workflow in current.items() if workflow is not None}
    return list(deprecations(places, deprecated))
