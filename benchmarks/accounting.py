"""What processes and databases have used, by their own accounting."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psutil
import psycopg

from tests.support.running_set import RunningSet

STATISTICS_SECONDS = 11.0
"""A PostgreSQL session that has come to rest tells what it did after 10 s at the latest (PGSTAT_IDLE_INTERVAL)."""
CATCH_UP_SECONDS = 120.0


def tree(pid: int) -> list[psutil.Process]:
    """A process and all that it started, as they are now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def cpu_seconds(*pids: int) -> float:
    """Of these processes and all that they started; those that ended are in their parents' account."""
    total = 0.0
    for process in (each for pid in pids for each in tree(pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_mib(*pids: int) -> float:
    """Memory, with what several processes share counted once (PSS)."""
    total = 0
    for process in (each for pid in pids for each in tree(pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 2**20


@dataclass
class Used:
    """CPU seconds; set at the end of the `with` block."""

    cpu: float = 0.0
    seconds: float = 0.0

    @property
    def cores(self) -> float:
        return self.cpu / self.seconds


@contextlib.contextmanager
def using(*pids: int) -> Iterator[Used]:
    used = Used()
    before, began = cpu_seconds(*pids), time.perf_counter()
    yield used
    used.cpu, used.seconds = cpu_seconds(*pids) - before, time.perf_counter() - began


def supervisor(running: RunningSet) -> int:
    assert running.process is not None
    return running.process.pid


def commits(postgres_url: str, databases: Iterable[str]) -> dict[str, int]:
    """Transactions committed since the databases were made, those that only read among them."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        found = connection.execute(
            "select datname, xact_commit from pg_stat_database where datname = any(%s)", (list(databases),)
        )
        return dict(found.fetchall())


def database_url(running: RunningSet, service: str) -> str:
    return running.file.services[service].database_url


UNREAD = """
select coalesce((select max(position) from events), 0) - coalesce((select min(position) from read_tables), 0)"""
ADOPTED = "select count(*) from events where position > %s and type like 'collection_adopted%%'"
SELECT_LAST_POSITION = "select coalesce(max(position), 0) from events"


def head(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(SELECT_LAST_POSITION).fetchone()
        return int(row[0]) if row else 0


def until_adopted(running: RunningSet, since: int, created: int) -> float:
    """Waits until generation has adopted so many collections since its position; the seconds that it took.

    Then all that follows a creation is done: collections' read tables and relay are ahead of it.
    """
    began = time.perf_counter()
    with (
        psycopg.connect(database_url(running, "generation"), autocommit=True) as generation,
        psycopg.connect(database_url(running, "collections"), autocommit=True) as collections,
    ):
        while True:
            (adopted,) = generation.execute(ADOPTED, (since,)).fetchone() or (0,)
            (unread,) = collections.execute(UNREAD).fetchone() or (0,)
            took = time.perf_counter() - began
            if adopted >= created and unread <= 0:
                return took
            if took > CATCH_UP_SECONDS:
                raise TimeoutError(f"generation has adopted {adopted} of {created} collections after {took:.0f} s")
            time.sleep(0.05)
