"""The end of a round of a visitor's job → what has not completed is the visitor's again."""

from services.generation.domain.job import Job
from services.generation.domain.job.state import OPEN
from services.generation.domain.preview_allowance import Settle
from shared.contracts.generation import (
    JobCancelled,
    JobCompleted,
    JobExpired,
    JobFailed,
    JobPartiallyCompleted,
    JobRejected,
    JobResumeRejected,
)

NAME = "settle-previews-v1"
EVENTS = (
    JobCompleted,
    JobPartiallyCompleted,
    JobFailed,
    JobCancelled,
    JobExpired,
    JobRejected,
    JobResumeRejected,
)


def settlement(job: Job) -> Settle | None:
    """None for an owner's job, and for one that was resumed since: the end of that round settles it."""
    if job.preview_of is None or job.job_id is None or job.user_id is None or job.status in OPEN:
        return None
    return Settle(job.preview_of, job.user_id, job.job_id, job.round, job.completed)
