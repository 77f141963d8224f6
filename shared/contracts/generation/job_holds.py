"""What generation says of holds that credits has placed: that it has no open job for one, or that it has."""

from uuid import UUID

from shared.contracts.generation.job import JobEvent


class JobDisowned(JobEvent, frozen=True, tag="job_disowned.v1"):
    """Credits has a hold for a job that this service has no record of for that user; the hold is to be released.

    Its cause is a forged request event, or a restore of this service's database to a time before the job. It is also
    the answer about an overdue hold of a job, or of a round of it, that is not open any more.
    """

    job_id: UUID
    user_id: UUID
    """The owner of the hold."""
    hold_id: UUID | None = None
    """None: that of the job's request."""


class JobHoldConfirmed(JobEvent, frozen=True, tag="job_hold_confirmed.v1"):
    """The answer about an overdue hold: the job that it is for is open, and needs it."""

    job_id: UUID
    user_id: UUID
    """The owner of the hold."""
    hold_id: UUID | None = None
    """None: that of the job's request."""
