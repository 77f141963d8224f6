"""`job_stop_requested` → each open generation of the job is cancelled; how they ended ends the job."""

from uuid import UUID

from services.generation.domain.generation import Generation
from services.generation.domain.job import EndGeneration

NAME = "cancel-generations-v1"


def end_of(gid: UUID, state: Generation) -> EndGeneration:
    """How a generation has ended after the attempt to cancel it: it may have completed or failed before."""
    if state.status == "completed":
        return EndGeneration(gid, cost=state.cost, round=state.round)
    if state.status == "cancelled":
        return EndGeneration(gid, cost=state.cancelled_cost, round=state.round, is_cancelled=True)
    assert state.error is not None, f"generation {gid} is {state.status} after it was cancelled"
    return EndGeneration(gid, error=state.error.text, round=state.round)
