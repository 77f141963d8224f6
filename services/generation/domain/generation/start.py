"""Starting a generation: its plan is recorded, and its first steps are scheduled."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from services.generation.domain.generation.state import Generation, evolve
from services.generation.domain.generation.steps import ready_steps
from shared.contracts.event import Event
from shared.contracts.generation import GenerationStarted, PlannedStep


class Start(msgspec.Struct, frozen=True):
    """A generation as planned by `planning.steps.plan_steps`. `cost`: micro-credits."""

    gid: UUID
    job_id: UUID
    user_id: UUID
    collection_id: UUID
    hash: str
    variables: dict[str, Any]
    steps: list[PlannedStep]
    cost: int
    encryption_enabled: bool = False


def start(command: Start, state: Generation) -> Sequence[Event]:
    """Idempotent."""
    if state.status:
        return []
    started = GenerationStarted(
        gid=command.gid,
        job_id=command.job_id,
        user_id=command.user_id,
        collection_id=command.collection_id,
        hash=command.hash,
        variables=command.variables,
        steps=command.steps,
        cost=command.cost,
        encryption_enabled=command.encryption_enabled,
    )
    return [started, *ready_steps(evolve(state, started))]
