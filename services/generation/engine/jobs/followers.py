"""Waiting for the relay and the read tables, before more generations start."""

import asyncio

from services.generation.projections.generations import GENERATIONS
from services.generation.projections.jobs import JOBS
from services.generation.projections.open_steps import OPEN_STEPS
from shared.eventstore import EventStore
from shared.eventstore.watermarks import HEAD_WATERMARK
from shared.messaging.refusals import NAME as RELAY

MAX_LAG = 200
"""Positions that the relay and the read tables may be behind; beyond, no generation starts."""
FIRST_LAG = 2_000
"""The same for the first generations of a job, which must not wait because of another job."""
MAX_LAG_WAIT = 1.0
"""Seconds that a round waits for them. If one of them has stopped, jobs continue at one round per such wait."""
TABLES = (JOBS, GENERATIONS, OPEN_STEPS)
"""Read tables without a fault move together, so the furthest of these shows the projector's position."""


ADMITTED = "admitted jobs"
"""The watermark that counts them; local to the process that starts generations."""


async def wait_for_followers(store: EventStore, most_lag: int) -> bool:
    """Until relay and read tables are at most so far behind, since other users' requests wait for these too.

    Returns False if a job was admitted meanwhile: its first generations need not wait as long.
    """
    marks, loop = store.watermarks, asyncio.get_running_loop()
    until, goal, admitted = loop.time() + MAX_LAG_WAIT, marks.value(HEAD_WATERMARK) - most_lag, marks.value(ADMITTED)
    for follower in (max((table.watermark for table in TABLES), key=marks.value), RELAY):
        if 0 < marks.value(follower) < goal:  # 0: this process has not heard of the follower yet
            await marks.wait_for_any({follower: goal, ADMITTED: admitted + 1}, max(0.0, until - loop.time()))
    return marks.value(ADMITTED) == admitted
