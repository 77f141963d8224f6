"""Fair shares: which generations of which jobs start next, as a function of what is open.

- A job has at most `window` open generations (started, and not ended). So every queue that follows a start (dispatch,
  workers, results, read tables) holds a bounded part of it, and a later job waits behind that part only.
- `most_open` is divided evenly among the users who have something to do; what one does not need is divided among the
  others. A share depends on what users request, not on what they have open, so generations that never end take
  nothing from other users.
- Users start in turn. A user's own jobs start in the order of their priority, and a waiting job gains one point for
  each start of another one: priorities are 0 to 100, so none waits for more than about a hundred starts.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

LEAST_SHARE = 4
"""Generations that a user may have open, however many users there are."""

K = TypeVar("K")


class OpenJob(msgspec.Struct, frozen=True):
    """A job that has not ended. Its generations start in the order in which they were requested."""

    job_id: UUID
    user_id: UUID
    total: int
    started: int = 0
    ended: int = 0
    priority: int = 50
    served: int = 0
    """How many generations its user's jobs had started together, when this job last started one (or was admitted)."""

    @property
    def open(self) -> int:
        return max(0, self.started - self.ended)

    def room(self, window: int) -> int:
        """How many of its generations may start now."""
        return max(0, min(self.total - self.started, window - self.open))


def shares(demands: Mapping[K, int], most: int, least: int = LEAST_SHARE) -> dict[K, int]:
    """Divides `most` among the keys: max-min fairness. No share exceeds its demand; what one leaves, others get.

    Each gets at least `least`, or its whole demand if that is less, even if the sum is then more than `most`.
    """
    allotted: dict[K, int] = {}
    remaining = most
    for place, (key, demand) in enumerate(sorted(demands.items(), key=lambda entry: entry[1])):
        share = max(remaining // (len(demands) - place), least)
        allotted[key] = min(demand, share)
        remaining = max(0, remaining - allotted[key])
    return allotted


def next_starts(jobs: Iterable[OpenJob], window: int, most_open: int) -> list[OpenJob]:
    """All that may start now, in this order; each entry is a job with one more generation started than before."""
    jobs_by_user: defaultdict[UUID, list[OpenJob]] = defaultdict(list)
    for job in jobs:
        jobs_by_user[job.user_id].append(job)
    demands = {user: sum(job.open + job.room(window) for job in own) for user, own in jobs_by_user.items()}
    allotted = shares(demands, most_open)
    starts = []
    for user, own in jobs_by_user.items():
        already_open = sum(job.open for job in own)
        starts.append((already_open, _starts_of_user(own, window, allotted[user] - already_open)))
    return _interleaved(starts)


def _starts_of_user(jobs: Sequence[OpenJob], window: int, most: int) -> list[OpenJob]:
    """One user's next starts, at most `most`."""
    served = max(job.served for job in jobs)
    waiting = {job.job_id: job for job in jobs if job.room(window)}
    starts: list[OpenJob] = []
    while waiting and len(starts) < most:
        # max() takes the first of equal ones: the job that was admitted first.
        job = max(waiting.values(), key=lambda candidate: candidate.priority + served - candidate.served)
        served += 1
        job = msgspec.structs.replace(job, started=job.started + 1, served=served)
        starts.append(job)
        if job.room(window):
            waiting[job.job_id] = job
        else:
            del waiting[job.job_id]
    return starts


def _interleaved(starts_by_user: Iterable[tuple[int, list[OpenJob]]]) -> list[OpenJob]:
    """The starts of all users in rounds; a user's first round follows from how many generations are open already."""
    ordered = sorted(starts_by_user, key=lambda entry: entry[0])
    rounds = [(already_open + index, job) for already_open, own in ordered for index, job in enumerate(own)]
    return [job for _, job in sorted(rounds, key=lambda entry: entry[0])]
