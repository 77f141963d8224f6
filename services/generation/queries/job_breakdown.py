"""Which steps make up the quote of a job. Read from the job's request, which never changes, and cached."""

from collections import OrderedDict
from uuid import UUID

from services.generation.domain.planning.costs import bounded
from services.generation.views.job import StepCostView, step_costs
from shared.contracts.generation import JobRequested
from shared.contracts.sizes import KIB
from shared.eventstore import EventStore

MAX_SHOWN = 8 * KIB
"""Bytes of entries with details."""
MAX_CACHED = 500
"""Jobs: those that were read last."""


class JobBreakdowns:
    def __init__(self, store: EventStore) -> None:
        self._store = store
        self._cached: OrderedDict[UUID, list[StepCostView]] = OrderedDict()

    async def of(self, job_id: UUID) -> list[StepCostView]:
        """Empty for a job of an early release, and for a visitor who may not see the instructions."""
        if job_id not in self._cached:
            events = await self._store.read_stream(job_id, limit=1)
            request = events[0].event if events else None
            quotes = []
            if isinstance(request, JobRequested) and request.shares_instructions:
                quotes = request.breakdown
            self._cached[job_id] = step_costs(bounded(quotes, MAX_SHOWN))
            if len(self._cached) > MAX_CACHED:
                self._cached.popitem(last=False)
        self._cached.move_to_end(job_id)
        return self._cached[job_id]
