"""Fair shares: which generations of which jobs begin next, as a function of what is open.

- A job has at most `window` generations that are started and not ended, however many it asks for. So the queues of all
  that follows a start (dispatch, workers, results, read tables) hold a bounded part of it, and a job that comes later
  is behind that part only.
- What may be open altogether is divided among the users who have something to do, each as much as the others; what one
  does not need is divided among the others. A share depends on what users ask for, not on what they have open: whoever
  holds generations that never end takes nothing from others.
- Users begin in turn. A user's own jobs begin in the order of their priority, and a job that waits gains one point
  with each start that passes it by: priorities are 0 to 100, so none waits for more than about a hundred of them.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import msgspec

LEAST = 4
"""A user may have so many generations open, however many users there are."""

K = TypeVar("K")


class OpenJob(msgspec.Struct, frozen=True):
    """A job that is not over. Its generations begin in the order in which they were requested."""

    job_id: UUID
    user_id: UUID
    total: int
    started: int = 0
    ended: int = 0
    priority: int = 50
    served: int = 0
    """Its user's starts, counted over all of the user's jobs, when it began its last one (or was admitted)."""

    @property
    def open(self) -> int:
        return max(0, self.started - self.ended)

    def room(self, window: int) -> int:
        """How many of its generations may begin now."""
        return max(0, min(self.total - self.started, window - self.open))


def shares(demands: Mapping[K, int], most: int, least: int = LEAST) -> dict[K, int]:
    """Divides `most` among those who ask: nobody gets more than asked for, and nobody less than others who want more.

    Each gets `least` in any case, if asked for: with very many who ask, that is more than `most` altogether.
    """
    given: dict[K, int] = {}
    left = most
    for place, (key, demand) in enumerate(sorted(demands.items(), key=lambda each: each[1])):
        share = max(left // (len(demands) - place), least)
        given[key] = min(demand, share)
        left = max(0, left - given[key])
    return given


def next_starts(jobs: Iterable[OpenJob], window: int, most: int) -> list[OpenJob]:
    """What may begin at once, in this order: each entry is a job with one more generation started than before."""
    of_user: defaultdict[UUID, list[OpenJob]] = defaultdict(list)
    for job in jobs:
        of_user[job.user_id].append(job)
    demands = {user: sum(job.open + job.room(window) for job in own) for user, own in of_user.items()}
    allowed = shares(demands, most)
    turns = [
        (sum(job.open for job in own), _turns_of(own, window, allowed[user] - sum(job.open for job in own)))
        for user, own in of_user.items()
    ]
    return _interleaved(turns)


def _turns_of(jobs: Sequence[OpenJob], window: int, count: int) -> list[OpenJob]:
    """One user's next starts, at most `count`."""
    turn = max(job.served for job in jobs)
    waiting = {job.job_id: job for job in jobs if job.room(window)}
    chosen: list[OpenJob] = []
    while waiting and len(chosen) < count:
        # The first of those that are equal is the one that was admitted first.
        job = max(waiting.values(), key=lambda each: each.priority + turn - each.served)
        turn += 1
        job = msgspec.structs.replace(job, started=job.started + 1, served=turn)
        chosen.append(job)
        if job.room(window):
            waiting[job.job_id] = job
        else:
            del waiting[job.job_id]
    return chosen


def _interleaved(turns: Iterable[tuple[int, list[OpenJob]]]) -> list[OpenJob]:
    """One of each user after the other; whoever has fewer open generations comes first in a round that is equal."""
    ordered = sorted(turns, key=lambda each: each[0])
    placed = [(already + place, job) for already, own in ordered for place, job in enumerate(own)]
    return [job for _, job in sorted(placed, key=lambda each: each[0])]
