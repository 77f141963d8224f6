"""The error of a job whose quote credits has declined: too few credits, or the spend limit that it exceeds."""

from services.generation.domain.job.hold import Reject
from services.generation.domain.job.state import OVER_LIMIT, Job
from shared.contracts.amounts import credits_text
from shared.contracts.credits import HoldDeclined, SpendLimit
from shared.contracts.problem import Detail, Problem

LIMIT_NAMES = {"daily": "daily limit", "per_job": "limit per job"}


def decline(event: HoldDeclined) -> Reject:
    """The command that records a decline in the job, with the sentence that its user reads."""
    amount = credits_text(event.amount)
    if event.limit is None:
        reason = f"The job needs {amount} credits, and {credits_text(event.available)} are available"
        return Reject("INSUFFICIENT_CREDITS", reason, event.hold_id)
    return Reject(OVER_LIMIT, f"The job needs {amount} credits, {_over(event.limit)}", event.hold_id)


def _over(limit: SpendLimit) -> str:
    """Which limit, how much is left of it, and what can be done about it."""
    name = f"{LIMIT_NAMES[limit.name]} of {credits_text(limit.amount)} credits"
    period = " today (UTC)" if limit.name == "daily" else " for it"
    wait = ", wait until the next day" if limit.name == "daily" else ""
    raising = "raise the limit" if limit.set_by == "user" else "ask an operator to raise the limit"
    setter = "you have" if limit.set_by == "user" else "an operator has"
    return (
        f"and of the {name} that {setter} set, {credits_text(limit.left)} are left{period}: request fewer "
        f"generations{wait}, or {raising}"
    )


def declined_problem(job: Job) -> Problem:
    """The answer to the request or resume of a job whose hold was declined."""
    if job.rejection == OVER_LIMIT:
        return Problem(OVER_LIMIT, job.error, Detail("/generations", "costs more than the spend limit allows"))
    return Problem("INSUFFICIENT_CREDITS", job.error)
