"""Starting a generation, or running it again in a later round: its plan is recorded, its first steps are scheduled."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.generation.resume import LAST_COMPLETED, renewed_steps
from services.generation.domain.generation.state import ENDED, Generation, evolve
from services.generation.domain.generation.steps import ready_steps
from shared.contracts.event import Event
from shared.contracts.generation import GenerationResumed, GenerationStarted, PlannedStep


class Start(msgspec.Struct, frozen=True):
    """A generation as planned by `planning.steps.plan_steps`. `cost`: micro-credits, of the steps that run.

    A generation that has started keeps the plan that it started with. `keep`: its completed steps that don't run again;
    `resumed_from`: as in `job_resumed`.
    """

    gid: UUID
    job_id: UUID
    user_id: UUID
    collection_id: UUID
    hash: str
    variables: dict[str, Any]
    steps: list[PlannedStep]
    cost: int
    encryption_enabled: bool = False
    round: int = 0
    keep: list[int] = []
    resumed_from: str = LAST_COMPLETED


def start(command: Start, state: Generation) -> Sequence[Event]:
    """Idempotent. No events for a generation that has completed, or was cancelled in this round or a later one."""
    if state.status and (state.round >= command.round or state.status not in ENDED or state.status == "completed"):
        return []
    first_event = _started(command) if state.started is None else _resumed(command, state)
    return [first_event, *ready_steps(evolve(state, first_event))]


def _started(command: Start) -> GenerationStarted:
    return GenerationStarted(
        gid=command.gid,
        job_id=command.job_id,
        user_id=command.user_id,
        collection_id=command.collection_id,
        hash=command.hash,
        variables=command.variables,
        steps=command.steps,
        cost=command.cost,
        encryption_enabled=command.encryption_enabled,
        round=command.round,
    )


def _resumed(command: Start, state: Generation) -> GenerationResumed:
    return GenerationResumed(
        gid=command.gid,
        job_id=command.job_id,
        user_id=command.user_id,
        round=command.round,
        keep=command.keep,
        cost=command.cost,
        renewed=renewed_steps(state, command.resumed_from),
    )
