"""The rate of commands on one account, on which 64 spenders place and capture holds at the same time."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

from services.credits.domain.decisions import CaptureHold, GrantCredits, PlaceHold
from services.credits.handlers import ACCOUNT, CommandHandlers
from shared.eventstore import Context, EventStore

SPENDERS = 64
AMOUNT = 1_000_000
LEAST = 500.0
"""Commands per second that one account must keep up with."""


async def commands_per_second(store: EventStore, jobs: int) -> float:
    """Of `jobs` holds and their captures, each durable before the next of its spender. Raises if the sums are wrong."""
    ledger, user = CommandHandlers(store, lambda: datetime.now(UTC)), uuid4()
    now = datetime.now(UTC)
    grant = GrantCredits(uuid4(), user, AMOUNT * jobs, "bench", 100, None, None, now)
    await ledger.handle(grant, Context(uuid4(), "bench"))
    left = iter([uuid4() for _ in range(jobs)])

    async def spend() -> None:
        for job in left:
            await _place_and_capture(ledger, user, job)

    began = time.perf_counter()
    await asyncio.gather(*(spend() for _ in range(SPENDERS)))
    seconds = time.perf_counter() - began
    account = (await store.load(ACCOUNT, user)).state
    if (account.spent, len(account.holds), account.available(now)) != (AMOUNT * jobs, 0, 0):
        raise AssertionError(f"the account does not add up: {account}")
    return 2 * jobs / seconds


async def _place_and_capture(ledger: CommandHandlers, user: UUID, job: UUID) -> None:
    now = datetime.now(UTC)
    await ledger.handle(PlaceHold(user, job, AMOUNT, now), Context(uuid4(), "bench"))
    await ledger.handle(CaptureHold(user, job, AMOUNT, now), Context(uuid4(), "bench"))
