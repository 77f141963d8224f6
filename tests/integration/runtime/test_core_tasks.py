"""When one of its core tasks ends, in whatever way, the process logs it and exits."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from services.collections.app import SERVICE as COLLECTIONS
from services.collections.app import build as build_collections
from services.collections.settings import CollectionsSettings
from services.generation.app import SERVICE, build
from services.generation.settings import GenerationSettings
from shared.garbage_collection import SERVING
from shared.runtime import running
from shared.runtime.core_tasks import EXIT_CODE, CoreTaskEnded, until_one_ends
from shared.runtime.serve import Running
from tests.support.apps.generation import grant_key
from tests.support.patience import PATIENCE

GENERATION_TASKS = {
    "writer",
    "watermarks",
    "epochs",
    "leases",
    "projections",
    "relay",
    "Broker.run",
    "JobEventHub.run",
    "ResultsIntake.run",
    "Watchdog.run",
}
"""And its consumers and processes, by their own names."""


@pytest.fixture
def settings(database: str, nats_url: str, tmp_path: Path) -> GenerationSettings:
    return GenerationSettings(
        database_url=database,
        nats_url=nats_url,
        auth_jwks_url=(tmp_path / "none.json").as_uri(),
        grant_key_file=str(grant_key(tmp_path)),
        storage_url="http://storage.test",
    )


def tasks_of(service: Running) -> dict[str, asyncio.Future[None]]:
    return {**service.runtime.store.tasks, **service.loops}


async def test_each_part_of_a_service_is_watched(settings: GenerationSettings) -> None:
    """Writer, watermarks, read tables, relay, consumers, processes, and the service's own loops."""
    async with running(SERVICE, settings, build) as service:
        names = set(tasks_of(service))
        assert names >= GENERATION_TASKS, GENERATION_TASKS - names
        assert sum(name.startswith("consumer ") for name in names) == len(service.parts.consumers) > 0
        assert sum(name.startswith("process ") for name in names) == len(service.parts.processes) > 0


async def test_the_schedule_of_publications_is_watched(database: str, nats_url: str) -> None:
    settings = CollectionsSettings(database_url=database, nats_url=nats_url, auth_jwks_url="file:///none")
    async with running(COLLECTIONS, settings, build_collections) as service:
        assert "Scheduler.run" in service.loops


async def test_whichever_ends_ends_the_service(settings: GenerationSettings, caplog: pytest.LogCaptureFixture) -> None:
    """Each core task in turn is cancelled from inside; the end of each is noticed."""
    async with running(SERVICE, settings, build) as service:
        names = sorted(tasks_of(service))
    for name in names:
        async with running(SERVICE, settings, build) as service:
            tasks_of(service)[name].cancel()
            async with asyncio.timeout(PATIENCE):
                with pytest.raises(CoreTaskEnded, match=f"^{name} was cancelled, but should run until it is stopped$"):
                    await service.core


async def test_a_task_may_end_in_three_ways() -> None:
    """And each is told."""

    async def returns() -> None:
        pass

    async def raises() -> None:
        raise ZeroDivisionError("one")

    async def stays() -> None:
        await asyncio.Event().wait()

    for work, how in ((returns, "returned"), (raises, r"raised ZeroDivisionError\('one'\)")):
        tasks = {"other": asyncio.create_task(stays()), "it": asyncio.create_task(work())}
        with pytest.raises(CoreTaskEnded, match=f"it {how}, but should run until it is stopped"):
            await until_one_ends(tasks)
        tasks["other"].cancel()


ENDS = """
import asyncio, sys
from services.credits.app import SERVICE, build
from services.credits.settings import CreditsSettings
from shared.runtime import Parts, from_environment, run_service

async def broken(runtime):
    parts = await build(runtime)

    async def feed() -> None:
        await asyncio.sleep(0.5)
        %s

    parts.background = [feed]
    return parts

run_service(SERVICE, from_environment(CreditsSettings), broken)
"""


@pytest.mark.parametrize(
    ("end", "how"), [("raise KeyError('k')", "raised KeyError('k')"), ("return", "returned")], ids=["raises", "returns"]
)
def test_the_process_ends_with_a_line_that_says_which(database: str, nats_url: str, end: str, how: str) -> None:
    """And with an exit code of its own, soon; who started it starts it anew."""
    line = last_words(database, nats_url, end)
    assert "feed" in line
    assert how in line
    assert '"critical"' in line


def test_a_service_looks_for_circles_seldom(database: str, nats_url: str) -> None:
    """Python's own thresholds cost a busy service 14 % of its time: see decision 35."""
    line = last_words(database, nats_url, "import gc; raise KeyError(gc.get_threshold())")
    assert f"raised KeyError({SERVING})" in line


def last_words(database: str, nats_url: str, end: str) -> str:
    """Of a service in which a loop has ended like this."""
    settings = {"DATABASE_URL": database, "NATS_URL": nats_url, "AUTH_JWKS_URL": "file:///none", "HTTP_PORT": "0"}
    ended = subprocess.run(
        [sys.executable, "-c", ENDS % end],
        env={**os.environ, **settings},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == EXIT_CODE, ended.stderr
    [line] = [line for line in (ended.stdout + ended.stderr).splitlines() if "core_task_ended" in line]
    return line


EDGE_ENDS = """
import asyncio
from services.edge.__main__ import serve
from services.edge.forwarding.replicas import Replicas
from services.edge.settings import EdgeSettings
from shared.runtime.settings import from_environment

async def watch(self, session):
    await asyncio.sleep(0.5)
    raise KeyError(self.name)

Replicas.watch = watch
serve(from_environment(EdgeSettings))
"""


def test_the_edge_ends_with_what_watches_its_services(tmp_path: Path) -> None:
    """Otherwise it would go on with the last state of each replica."""
    names = ("COLLECTIONS", "GENERATION", "CREDITS", "STORAGE")
    settings = {f"{name}_URL": "http://127.0.0.1:9" for name in names}
    ended = subprocess.run(
        [sys.executable, "-c", EDGE_ENDS],
        env={**os.environ, **settings, "HTTP_PORT": "0", "JWKS_FILE": str(tmp_path / "none.json")},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert ended.returncode == -signal.SIGTERM, ended.stderr
    assert "core_task_ended" in ended.stdout + ended.stderr
    assert "replicas of" in ended.stdout + ended.stderr


HANGS = """
import sys, time
import shared.runtime.core_tasks as core
core.END_SECONDS = 0.5
core.exit_after_timeout()
time.sleep(600)
"""


def test_what_hangs_while_it_ends_is_ended() -> None:
    """Closing connections to a silent server may not end."""
    ended = subprocess.run([sys.executable, "-c", HANGS], cwd=Path(__file__).parents[3], check=False, timeout=PATIENCE)
    assert ended.returncode == EXIT_CODE
