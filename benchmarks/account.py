"""ACCOUNT: the cost of a command on an account that has had 100,000 grants and holds, beside one that has had 100."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID, uuid4

import uvloop

from benchmarks.busy_account import LEAST, SPENDERS, commands_per_second
from benchmarks.ground import Ground
from benchmarks.measure import Figure, percentile
from services.credits.app import SERVICE
from services.credits.domain.account import Account, evolve
from services.credits.domain.decisions import CaptureHold, PlaceHold
from services.credits.handlers import ACCOUNT, CommandHandlers
from shared.contracts.credits import Allocation, CreditsGranted, HoldCaptured, HoldPlaced
from shared.contracts.event import Event
from shared.eventstore import Context, EventStore, StreamAppend
from shared.eventstore.decider import encode_state
from shared.eventstore.migrate import migrate
from shared.projections import Projector

FEW, MANY = 100, 100_000
AMOUNT = 1_000_000
PAGE = 900
COMMANDS = 100
JOBS = 2_500
"""Holds and captures of the busy account: a few seconds of them."""
FOLLOWED_WITHIN = 300.0


def history(user: UUID, entries: int) -> Iterator[Event]:
    """`entries` grants and holds, half of each: a hold spends each grant; then one grant that is not spent."""
    for _ in range(entries // 2):
        grant, job = uuid4(), uuid4()
        spent = [Allocation(grant, AMOUNT)]
        yield CreditsGranted(grant, user, AMOUNT, "bench", 100, None, None)
        yield HoldPlaced(job, user, AMOUNT, spent)
        yield HoldCaptured(job, user, AMOUNT, spent)
    yield CreditsGranted(uuid4(), user, AMOUNT * COMMANDS * 2, "bench", 100, None, None)


async def record(store: EventStore, user: UUID, entries: int) -> int:
    """Records such a history; returns its last position."""
    events, position = list(history(user, entries)), 0
    for start in range(0, len(events), PAGE):
        append = StreamAppend(user, start, events[start : start + PAGE])
        position = (await store.append([append], Context(uuid4(), "bench"))).position
    return position


@dataclass
class Cost:
    command: float
    """Milliseconds of one command: p50 of holds and captures."""
    first: float
    """Milliseconds to read and fold the whole history without a snapshot."""
    snapshot: int
    """Bytes of the state as JSON."""
    fold: float
    """Microseconds of CPU per event to fold the whole history."""


async def cost(store: EventStore, user: UUID) -> Cost:
    ledger = CommandHandlers(store, lambda: datetime.now(UTC))

    async def carry_out(command: PlaceHold | CaptureHold) -> float:
        began = time.perf_counter()
        await ledger.handle(command, Context(uuid4(), "bench"))
        return 1e3 * (time.perf_counter() - began)

    began = time.perf_counter()
    await store.load(ACCOUNT, user)
    first = 1e3 * (time.perf_counter() - began)
    times = []
    for _ in range(COMMANDS):
        job, now = uuid4(), datetime.now(UTC)
        times.append(await carry_out(PlaceHold(user, job, AMOUNT, now)))
        times.append(await carry_out(CaptureHold(user, job, AMOUNT, now)))
    events = [recorded.event for recorded in await store.read_stream(user)]
    state, began = Account(), time.process_time()
    for event in events:
        state = evolve(state, event)
    fold = 1e6 * (time.process_time() - began) / len(events)
    return Cost(percentile(times, 0.5), first, len(encode_state(state)), fold)


async def measure(dsn: str, entries: list[int], jobs: int) -> tuple[list[Cost], float]:
    """The costs of accounts with so many grants and holds, and the rate of one on which many spend at the same time."""
    for schema in SERVICE.schemas():
        await migrate(dsn, schema)
    users = [uuid4() for _ in entries]
    async with EventStore.open(dsn, SERVICE.codec()) as store:
        projector = Projector(store, SERVICE.projections)
        await projector.prepare()
        following = asyncio.create_task(projector.run())
        try:
            for user, count in zip(users, entries, strict=True):
                last = await record(store, user, count)
            async with asyncio.timeout(FOLLOWED_WITHIN):
                while not await projector.caught_up(last):
                    pass
            return [await cost(store, user) for user in users], await commands_per_second(store, jobs)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def run(ground: Ground) -> Iterator[Figure]:
    many = ground.size(MANY, 2_000)
    jobs = ground.size(JOBS, 100)
    (few_cost, many_cost), rate = uvloop.run(measure(ground.database("account"), [FEW, many], jobs))
    what, peer = f"an account that has had {many:,} grants and holds", f"one that has had {FEW}"
    note = f"its history read without a snapshot: {many_cost.first:,.1f} ms, peer {few_cost.first:,.1f} ms"
    yield Figure(
        "ACCOUNT", f"{what}: command, p50", many_cost.command, "ms", peer, few_cost.command, most=1.2, note=note
    )
    yield Figure("ACCOUNT", f"{what}: CPU of folding, per event", many_cost.fold, "µs", peer, few_cost.fold, most=1.2)
    yield Figure(
        "ACCOUNT", f"{what}: snapshot", many_cost.snapshot / 1024, "KiB", peer, few_cost.snapshot / 1024, limit=100
    )
    yield Figure(
        "ACCOUNT",
        f"one account, {SPENDERS} spenders at once: holds and captures",
        rate,
        "/s",
        "the rate that is asked for",
        LEAST,
        least=1.0,
    )
