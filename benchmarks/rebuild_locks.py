"""LOCKS: how long a read table's readers and its projector wait while the table is rebuilt, compared and swapped.

Not part of `make bench`, which has no time for ten million rows: `python -m benchmarks LOCKS --rows 10000000`.
"""

import threading
import time
from dataclasses import dataclass, field

import psycopg
import uvloop

from benchmarks.ground import Ground
from benchmarks.measure import Figure
from benchmarks.p4_rebuild import ENTRIES, MOVE_TO_THE_END, Entered, fill
from shared.eventstore import Codec, EventStore
from shared.projections import Projector, rebuild

ROWS = 1_000_000
PAUSE = 0.002
"""Seconds between two queries."""
AROUND = 1.0
"""Seconds before and after the swap in which waits are attributed to it."""
SELECT_ROW = "select to_regclass('bench_entries_v1')::oid, (select amount from bench_entries_v1 where position = %s)"
LOCK_POSITION = "select position from read_tables where name = %s for update"


@dataclass
class Looks:
    """Each look's end and length in seconds, and when the table was another one than before."""

    name: str
    ends: list[float] = field(default_factory=list)
    lengths: list[float] = field(default_factory=list)
    swapped_at: float | None = None

    def longest(self, *, around: float | None = None) -> float:
        """In milliseconds; `around` a moment, or of all."""
        return 1000 * max(
            (
                length
                for end, length in zip(self.ends, self.lengths, strict=True)
                if around is None or abs(end - around) <= AROUND
            ),
            default=0.0,
        )


def look(dsn: str, query: str, value: object, looks: Looks, over: threading.Event) -> None:
    """Repeats a query until `over` is set: a reader's, or that with which the projector locks its position."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        previous = None
        while not over.is_set():
            began = time.perf_counter()
            row = connection.execute(query, (value,)).fetchone()
            ended = time.perf_counter()
            looks.ends.append(ended)
            looks.lengths.append(ended - began)
            if previous is not None and row is not None and row[0] != previous:
                looks.swapped_at = ended
            previous = row[0] if row else None
            time.sleep(PAUSE)


async def rebuild_twice(dsn: str, looks: tuple[Looks, Looks]) -> float:
    """Rebuilds to fill the live table, then again while it is observed. Returns the seconds of the second rebuild."""
    over = threading.Event()
    async with EventStore.open(dsn, Codec([Entered])) as store:
        await Projector(store, [ENTRIES]).prepare()
        async with store.pool.connection() as connection:
            await connection.execute(MOVE_TO_THE_END, (ENTRIES.table,))
        await rebuild(store, ENTRIES)
        arguments = ((SELECT_ROW, 1), (LOCK_POSITION, ENTRIES.table))
        threads = [
            threading.Thread(target=look, args=(dsn, query, value, series, over))
            for (query, value), series in zip(arguments, looks, strict=True)
        ]
        for thread in threads:
            thread.start()
        began = time.perf_counter()
        try:
            result = await rebuild(store, ENTRIES)
        finally:
            took = time.perf_counter() - began
            time.sleep(AROUND)  # noqa: ASYNC251 - the queries run in their threads
            over.set()
            for thread in threads:
                thread.join()
    assert result.same, result
    return took


def run(ground: Ground) -> list[Figure]:
    rows, dsn = ground.rows or ground.size(ROWS, 50_000), ground.database("locks")
    fill(dsn, rows)
    reads, turns = Looks("read"), Looks("turn")
    took = uvloop.run(rebuild_twice(dsn, (reads, turns)))
    what = f"table of {rows:,} rows rebuilt, compared and swapped in {took:.0f} s: the longest"
    return [
        Figure(
            "LOCKS",
            f"{what} read around the swap",
            reads.longest(around=reads.swapped_at),
            "ms",
            "the longest read of all, in ms",
            reads.longest(),
            note=f"{len(reads.ends):,} reads",
        ),
        Figure(
            "LOCKS",
            f"{what} wait of its projector for its turn around the swap",
            turns.longest(around=reads.swapped_at),
            "ms",
            "the longest wait of all, in ms",
            turns.longest(),
            note=f"{len(turns.ends):,} turns",
        ),
    ]
