"""`make bench GROWTH=1`: P1, P2, P4 and P5 again, at 10 thousand, 1 million and 5 million stored events.

Before P2 and P5, events are added to the stores of a stopped set, recorded as handled by all who follow them: it is the
history that grows, not the read tables.
"""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import nats
import psycopg
import uvloop

from benchmarks import p1_append, p4_rebuild, p5_jobs, servers
from benchmarks.contest import CONNECTIONS, contest
from benchmarks.ground import Ground
from benchmarks.measure import Figure, median
from benchmarks.noop_worker import noop_worker
from benchmarks.workshop import SERVICE, Workshop
from infra.embedded.set_file import load_set
from shared.messaging.streams import stream_name
from tests.support.running_set import RunningSet

SIZES = (10_000, 1_000_000, 5_000_000)
QUICK_SIZES = (1_000, 5_000, 20_000)
LEAST = 0.8
GROWING = ("collections", "generation")
COUNT_EVENTS = "select count(*) from events"
INSERT_EVENTS = """
insert into events (event_id, stream_id, version, type, data, metadata)
select gen_random_uuid(), gen_random_uuid(), 1, type, data, metadata
from (select * from events order by octet_length(data) limit 1) as smallest, generate_series(1, %s)"""
MARK_AS_HANDLED = (
    "update read_tables set position = (select max(position) from events)",
    "update checkpoints set position = (select max(position) from events)",
    "vacuum analyze events",
)


def sizes(ground: Ground) -> tuple[int, ...]:
    return QUICK_SIZES if ground.quick else SIZES


def beside_the_first(id_: str, what: str, unit: str, rates: dict[int, float]) -> Iterator[Figure]:
    (first, base), *larger = rates.items()
    for size, rate in larger:
        yield Figure(
            id_, f"{what}, {size:,} stored events", rate, unit, f"the same at {first:,} stored events", base, LEAST
        )


def appending(ground: Ground) -> Iterator[Figure]:
    rates, seconds = {}, ground.size(p1_append.SECONDS, 1.0)
    for size in sizes(ground):
        ground.say(f"  with {size:,} stored events …")
        dsn = ground.database("growth")
        p4_rebuild.fill(dsn, size)
        rates[size] = median([uvloop.run(p1_append.ours(dsn, seconds=seconds))[0] for _ in range(3)])
    yield from beside_the_first("P1", f"events appended, {p1_append.WRITERS} writers", "events/s", rates)


def rebuilding(ground: Ground) -> Iterator[Figure]:
    rates: dict[str, dict[int, float]] = {"append-only": {}, "folded into 50,000 rows": {}}
    for size in sizes(ground):
        ground.say(f"  of {size:,} stored events …")
        dsn = ground.database("growth")
        p4_rebuild.fill(dsn, size)
        for what, projection in zip(rates, (p4_rebuild.ENTRIES, p4_rebuild.ACCOUNTS), strict=True):
            rates[what][size] = uvloop.run(p4_rebuild.ours(dsn, projection))[0]
    for what, rates_by_size in rates.items():
        yield from beside_the_first("P4", f"read table rebuilt, {what}", "events/s", rates_by_size)


def serving(ground: Ground) -> Iterator[Figure]:
    """P2 and P5 on one set that grows."""
    data = ground.directory / "grown"
    with closing(RunningSet(data)) as running:
        running.up()
        create_and_generate(ground, running, quick=True)
    created: dict[int, float] = {}
    generated: dict[int, float] = {}
    for size in sizes(ground):
        ground.say(f"  with {size:,} stored events in each of {' and '.join(GROWING)} …")
        asyncio.run(grow(data, size))
        with closing(RunningSet(data)) as running:
            running.up()
            created[size], generated[size] = create_and_generate(ground, running, quick=ground.quick)
    what = f"POST /projects/collections, {CONNECTIONS} connections"
    yield from beside_the_first("P2", what, "/s", created)
    yield from beside_the_first("P5", f"a job of steps of no work, {p5_jobs.STEPS} each", "steps/s", generated)


def create_and_generate(ground: Ground, running: RunningSet, *, quick: bool) -> tuple[float, float]:
    """Collections and steps per second."""
    generations = 30 if quick else 1_000
    with contest(ground, running) as match:
        match.create_and_follow("service", 0.3 if quick else 2.0, CONNECTIONS)
        loads = [
            match.create_and_follow("service", 0.5 if quick else 4.0, CONNECTIONS)[0] for _ in range(1 if quick else 3)
        ]
    shop = Workshop(running)
    with noop_worker(shop.nats_url, SERVICE) as go:
        go()
        job = uvloop.run(p5_jobs.many(shop, generations))
    return median([load.rate for load in loads]), generations * p5_jobs.STEPS / job.seconds


async def grow(data: Path, size: int) -> None:
    """Grows the stores of a stopped set to `size` events each."""
    async with servers.of_set(data):
        file = load_set(data)
        client = await nats.connect(file.nats_url)
        for service in GROWING:
            await asyncio.to_thread(add_events, file.services[service].database_url, size)
            # With an empty stream, the relay continues from its checkpoint, so the added events are not published.
            await client.jetstream().purge_stream(stream_name(service))
        await client.close()


def add_events(dsn: str, size: int) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        (count,) = connection.execute(COUNT_EVENTS).fetchone() or (0,)
        connection.execute(INSERT_EVENTS, (max(0, size - count),))
        for statement in MARK_AS_HANDLED:
            connection.execute(statement.encode())
