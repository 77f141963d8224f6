"""Requesting a job: the first event of its stream, with its quote and its generations."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.job.state import Job
from shared.contracts.event import Event
from shared.contracts.generation import (
    PREVIEW_JOB_TYPE,
    JobGenerationsListed,
    JobRequested,
    RequestedGeneration,
    StepQuote,
)
from shared.contracts.problem import Problem
from shared.contracts.sizes import KIB, MAX_PART, encoded_size

JOB_TYPE = "collection_generation"
TEST_JOB_TYPE = "workflow_test"
"""Of one step with its workflow's test values, which is not charged."""
NAMES = {JOB_TYPE: "Collection Generation", PREVIEW_JOB_TYPE: "Collection Preview", TEST_JOB_TYPE: "Test"}
"""Of jobs, by their type."""
MAX_INLINE = 128 * KIB
"""Bytes of generations in `job_requested` itself: about 900 of them, with hashes of 64 characters."""


def collection_of(requested: JobRequested) -> UUID | None:
    """The collection that a job is about; None for a workflow's test, whose `collection_id` is the workflow's id."""
    return None if requested.job_type == TEST_JOB_TYPE else requested.collection_id


class RequestJob(msgspec.Struct, frozen=True):
    """A job as planned by `planning.job_plan.plan_job`. `quoted`: micro-credits. `max_queue_seconds`: as requested.

    `payer_id`: whose credits are held; None: the user's. `shares_instructions`: whether the user may see `data`.
    """

    job_id: UUID
    user_id: UUID
    collection_id: UUID
    project_id: UUID
    title: str
    data: dict[str, Any]
    workflow_versions: dict[str, int]
    variables: dict[str, Any]
    generations: list[RequestedGeneration]
    quoted: int
    encryption_enabled: bool
    breakdown: list[StepQuote] = []
    job_type: str = JOB_TYPE
    max_queue_seconds: float | None = None
    payer_id: UUID | None = None
    shares_instructions: bool = True


def disowned_problem() -> Problem:
    """The answer to a request whose job was disowned, that is, lost in a restore of the database."""
    return Problem(
        "CONFLICT", "The job of this request was lost in a restore of the database: send it with a new Idempotency-Key"
    )


def request(command: RequestJob, state: Job) -> Sequence[Event]:
    """Idempotent. Raises CONFLICT for a disowned job."""
    if state.status == "disowned":
        raise disowned_problem()
    if state.status:
        return []
    first, *others = _parts(command.generations)
    requested = JobRequested(
        job_id=command.job_id,
        name=f"{NAMES[command.job_type]}: {command.title}",
        job_type=command.job_type,
        user_id=command.user_id,
        collection_id=command.collection_id,
        project_id=command.project_id,
        data=command.data,
        workflow_versions=command.workflow_versions,
        variables=command.variables,
        generations=first,
        quoted=command.quoted,
        encryption_enabled=command.encryption_enabled,
        total=len(command.generations) if others else 0,
        parts=len(others),
        breakdown=command.breakdown,
        max_queue_seconds=command.max_queue_seconds,
        payer_id=command.payer_id,
        shares_instructions=command.shares_instructions,
    )
    listed = (JobGenerationsListed(command.job_id, number, part) for number, part in enumerate(others, start=1))
    return [requested, *listed]


def _parts(generations: Sequence[RequestedGeneration]) -> list[list[RequestedGeneration]]:
    """The generations divided so that no event is too large; the first part is the one in `job_requested`."""
    parts: list[list[RequestedGeneration]] = [[]]
    room = MAX_INLINE
    for generation in generations:
        size = encoded_size(generation) + 1
        if size > room:
            parts.append([])
            room = MAX_PART
        parts[-1].append(generation)
        room -= size
    return parts
