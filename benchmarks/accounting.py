"""CPU, memory and commits, as the kernel and PostgreSQL count them."""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import psutil
import psycopg

from tests.support.running_set import RunningSet

STATISTICS_SECONDS = 11.0
"""Seconds to wait for statistics: an idle PostgreSQL session reports them after 10 s at most (PGSTAT_IDLE_INTERVAL)."""
CATCH_UP_SECONDS = 120.0


def tree(pid: int) -> list[psutil.Process]:
    """A process and its descendants; empty if it has ended."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    return []


def cpu_seconds(*pids: int) -> float:
    """CPU of these processes and their descendants; that of ended ones is counted for their parents."""
    total = 0.0
    for process in (member for pid in pids for member in tree(pid)):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_mib(*pids: int) -> float:
    """Memory of these processes and their descendants in MiB; shared pages count once (PSS)."""
    total = 0
    for process in (member for pid in pids for member in tree(pid)):
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
    """Transactions committed since the databases were created, read-only ones included."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        cursor = connection.execute(
            "select datname, xact_commit from pg_stat_database where datname = any(%s)", (list(databases),)
        )
        return dict(cursor.fetchall())


def database_url(running: RunningSet, service: str) -> str:
    return running.file.services[service].database_url


COUNT_UNREAD = """
select coalesce((select max(position) from events), 0) - coalesce((select min(position) from read_tables), 0)"""
COUNT_ADOPTED = "select count(*) from events where position > %s and type like 'collection_adopted%%'"
SELECT_LAST_POSITION = "select coalesce(max(position), 0) from events"


def head(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        row = connection.execute(SELECT_LAST_POSITION).fetchone()
        return int(row[0]) if row else 0


def until_adopted(running: RunningSet, since: int, created: int) -> float:
    """Waits until generation has adopted `created` collections after its position `since`; returns the seconds.

    Then all work of these creations is done, since collections' read tables and relay come before it.
    """
    began = time.perf_counter()
    with (
        psycopg.connect(database_url(running, "generation"), autocommit=True) as generation,
        psycopg.connect(database_url(running, "collections"), autocommit=True) as collections,
    ):
        while True:
            (adopted,) = generation.execute(COUNT_ADOPTED, (since,)).fetchone() or (0,)
            (unread,) = collections.execute(COUNT_UNREAD).fetchone() or (0,)
            took = time.perf_counter() - began
            if adopted >= created and unread <= 0:
                return took
            if took > CATCH_UP_SECONDS:
                raise TimeoutError(f"generation has adopted {adopted} of {created} collections after {took:.0f} s")
            time.sleep(0.05)
