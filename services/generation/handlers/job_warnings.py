"""Warnings about a job that runs: steps of deprecated workflows, and members of its instructions that are not known."""

import asyncio
from collections.abc import Mapping
from itertools import chain, islice
from uuid import UUID

from services.generation.domain.planning.unknown_members import unknown_members
from services.generation.queries.workflow_definition import CurrentWorkflow, WorkflowDefinitions
from shared.contracts.generation import JobRequested
from shared.contracts.generation_input import MAX_DETAILS, GenerationInput, read
from shared.contracts.problem import Detail
from shared.eventstore import EventStore

MAX_UNKNOWN = 20
"""Warnings about members that are not known: each is compared with all that are."""

Workflows = Mapping[str, CurrentWorkflow]
"""The workflows of a job's steps by name, without those that don't exist."""


def job_warnings(generation_input: GenerationInput, workflows: Workflows) -> list[Detail]:
    """What a job's user should change in the collection, although the job runs: MAX_DETAILS at most."""
    definitions = {name: workflow.definition for name, workflow in workflows.items()}
    deprecations = (
        Detail(f"{step.pointer}/nodeName", f"{step.workflow} is deprecated: {workflow.deprecated}")
        for step in generation_input.steps
        if (workflow := workflows.get(step.workflow)) is not None and workflow.deprecated
    )
    unknown = islice(unknown_members(generation_input, definitions), MAX_UNKNOWN)
    return list(islice(chain(deprecations, unknown), MAX_DETAILS))


async def recorded_warnings(store: EventStore, definitions: WorkflowDefinitions, job_id: UUID) -> list[Detail]:
    """Those of a job that was requested before; none if its user may not see the instructions."""
    [recorded] = await store.read_stream(job_id, limit=1)
    if not isinstance(recorded.event, JobRequested) or not recorded.event.shares_instructions:
        return []
    generation_input = await asyncio.to_thread(read, recorded.event.data)
    return await asyncio.to_thread(
        job_warnings, generation_input, await definitions.all_current(step.workflow for step in generation_input.steps)
    )
