"""P8: CPU, commits, connections and memory of an idle set."""

import time
from collections.abc import Iterator

import psycopg

from benchmarks import accounting
from benchmarks.ground import Ground
from benchmarks.measure import Figure

SUM_COMMITS = "select sum(xact_commit)::float8 from pg_stat_database"
COUNT_CONNECTIONS = """
select count(*)::float8 from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"""


def read_number(url: str, query: str) -> float:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(query.encode()).fetchone()
        return float(row[0]) if row else 0.0


def run(ground: Ground) -> Iterator[Figure]:
    url, pid = ground.running.file.postgres_url, accounting.supervisor(ground.running)
    time.sleep(
        ground.size(15.0, 2.0)
    )  # until the work of the start or the previous row is done and its statistics are reported
    before = read_number(url, SUM_COMMITS)
    with accounting.using(pid) as used:
        time.sleep(ground.size(30.0, 4.0))
    commits = read_number(url, SUM_COMMITS) - before
    what = f"idle set, over {used.seconds:.0f} s"
    yield Figure("P8", f"{what}: CPU of all processes", 100 * used.cores, "% of a core", limit=2)
    yield Figure("P8", f"{what}: commits", commits / used.seconds, "/s", limit=4)
    yield Figure(
        "P8", f"{what}: connections to PostgreSQL", read_number(url, COUNT_CONNECTIONS), "connections", limit=35
    )
    yield Figure("P8", f"{what}: memory, shared pages once", accounting.resident_mib(pid), "MiB", limit=600)
