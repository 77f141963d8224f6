"""Ends of generations, batched per job: a job is one stream, and each append to it must follow the one before."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from uuid import UUID

from services.generation.domain.job import EndGeneration
from shared.eventstore import Context

Record = Callable[[UUID, list[EndGeneration], Context], Awaitable[None]]
Waiting = list[tuple[EndGeneration, asyncio.Future[None]]]


class JobEnds:
    """Records each job's ends one batch after the other; ends that arrive meanwhile are the next batch."""

    def __init__(self, record: Record) -> None:
        self._record = record
        self._waiting: defaultdict[UUID, Waiting] = defaultdict(list)
        self._busy: set[UUID] = set()

    async def add(self, job_id: UUID, end: EndGeneration, context: Context) -> None:
        """Returns when the end is recorded; raises what recording its batch raised.

        A batch has the context of the call that records it.
        """
        recorded = asyncio.get_running_loop().create_future()
        self._waiting[job_id].append((end, recorded))
        if job_id not in self._busy:
            self._busy.add(job_id)
            try:
                while self._waiting[job_id]:
                    await self._record_batch(job_id, self._waiting.pop(job_id), context)
            finally:
                self._busy.discard(job_id)
                _finish(self._waiting.pop(job_id, []), RuntimeError("the task that records the job's ends stopped"))
        await recorded

    async def _record_batch(self, job_id: UUID, batch: Waiting, context: Context) -> None:
        try:
            await self._record(job_id, [end for end, _ in batch], context)
        except BaseException as error:
            _finish(batch, error if isinstance(error, Exception) else RuntimeError(f"recording stopped: {error!r}"))
            if not isinstance(error, Exception):
                raise
        else:
            _finish(batch, None)


def _finish(batch: Waiting, error: Exception | None) -> None:
    for _, recorded in batch:
        if recorded.done():
            continue
        if error is None:
            recorded.set_result(None)
        else:
            recorded.set_exception(error)
