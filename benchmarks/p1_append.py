"""P1 and P1b: events appended durably by 32 concurrent writers, 400-byte events, fsync on."""

import asyncio
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path
from urllib.parse import urlsplit

import eventsourcing.postgres as peer
import psycopg
import uvloop
from eventsourcing.persistence import StoredEvent

from benchmarks.ground import Ground
from benchmarks.measure import Figure, median, percentile
from infra.embedded.postgres import installation
from shared.contracts.event import Event
from shared.eventstore import Codec, Context, EventStore, StreamAppend
from shared.eventstore.migrate import apply_migrations
from shared.eventstore.store import SCHEMA

WRITERS, SECONDS, EVENT_BYTES = 32, 4.0, 400


class Noted(Event, frozen=True, tag="noted.v1"):
    text: str


async def ours(dsn: str, writers: int = WRITERS, seconds: float = SECONDS) -> tuple[float, float]:
    """Events per second, and the median latency of an append in milliseconds."""
    event = Noted("x" * (EVENT_BYTES - len('{"type":"noted.v1","text":""}')))
    latencies: list[float] = []
    async with EventStore.open(dsn, Codec([Noted])) as store:

        async def write(until: float) -> None:
            stream, version = uuid.uuid4(), 0
            while (began := time.perf_counter()) < until:
                await store.append([StreamAppend(stream, version, [event])], Context(uuid.uuid4(), "bench"))
                latencies.append(time.perf_counter() - began)
                version += 1
                if version == 10:
                    stream, version = uuid.uuid4(), 0

        began = time.perf_counter()
        await asyncio.gather(*(write(began + seconds) for _ in range(writers)))
        took = time.perf_counter() - began
    return len(latencies) / took, percentile(latencies, 0.5) * 1e3


def eventsourcing_library(dsn: str, threads: int = 8, seconds: float = SECONDS) -> float:
    """Events per second of the library's own PostgreSQL recorder in its default mode."""
    parts = urlsplit(dsn)
    with peer.PostgresDatastore(
        parts.path.lstrip("/"),
        parts.hostname or "",
        str(parts.port),
        parts.username or "",
        parts.password or "",
        pool_size=threads,
        max_overflow=threads,
    ) as datastore:
        recorder = peer.PostgresApplicationRecorder(datastore, events_table_name="peer_events")
        recorder.create_table()
        state = b"x" * EVENT_BYTES
        counts = [0] * threads
        until = time.perf_counter() + seconds

        def write(number: int) -> None:
            while time.perf_counter() < until:
                stream = uuid.uuid4()
                for version in range(1, 11):
                    recorder.insert_events([StoredEvent(stream, version, "noted", state)])
                    counts[number] += 1

        workers = [threading.Thread(target=write, args=(number,)) for number in range(threads)]
        began = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return sum(counts) / (time.perf_counter() - began)


def pgbench(dsn: str, clients: int = WRITERS, seconds: float = SECONDS) -> float:
    """One-row inserts per second into a table of the same columns and indexes, from pgbench."""
    statement = (
        "insert into pgbench_events (event_id, stream_id, version, type, data, metadata) values ("
        "gen_random_uuid(), gen_random_uuid(), 1, 'noted.v1', "
        f"decode(repeat('78', {EVENT_BYTES}), 'hex'), decode(repeat('6d', 100), 'hex'));"
    )
    with tempfile.TemporaryDirectory() as directory:
        script = Path(directory) / "insert.sql"
        script.write_text(statement)
        command = [
            str(installation() / "bin" / "pgbench"),
            "-n",
            "-M",
            "prepared",
            "-f",
            str(script),
            "-c",
            str(clients),
        ]
        command += ["-j", "2", "-T", str(int(seconds)), dsn]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    line = next((line for line in output.splitlines() if line.startswith("tps")), None)
    if line is None:  # not one transaction has ended
        raise RuntimeError(f"pgbench has measured nothing in {seconds:g} s: {output.strip()[-300:]}")
    return float(line.split("=")[1].split()[0])


def run(ground: Ground) -> list[Figure]:
    """The store and pgbench take turns, three times each, and the medians count: a shared machine's speed varies."""
    dsn, seconds = ground.database("p1"), ground.size(SECONDS, 2.0)
    apply_migrations(dsn, [SCHEMA])
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create table pgbench_events (like events including all)")
    rounds = [(uvloop.run(ours(dsn, seconds=seconds)), pgbench(dsn, seconds=seconds)) for _ in range(3)]
    rate, p50 = median([own[0] for own, _ in rounds]), median([own[1] for own, _ in rounds])
    many, many_p50 = uvloop.run(ours(dsn, 128, seconds))
    what = f"events appended durably, {WRITERS} writers"
    return [
        Figure(
            "P1",
            what,
            rate,
            "events/s",
            "eventsourcing's PostgreSQL recorder, default mode, 8 threads",
            eventsourcing_library(dsn, seconds=seconds),
            15,
            note=f"p50 {p50:.2f} ms; 128 writers: {many:,.0f}/s, p50 {many_p50:.2f} ms",
        ),
        Figure(
            "P1b",
            what,
            rate,
            "events/s",
            f"pgbench, one-row inserts, {WRITERS} clients",
            median([peer_rate for _, peer_rate in rounds]),
            1.4,
            note="rounds: " + ", ".join(f"{own[0]:,.0f} to {peer_rate:,.0f}" for own, peer_rate in rounds),
        ),
    ]
