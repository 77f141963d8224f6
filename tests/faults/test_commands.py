"""Each command on a service's history ends in a sentence that says what is the matter and what to do, within seconds.

Whether the set is stopped, its PostgreSQL is frozen (its listener alone, or with the processes that serve connections),
or something between takes every byte and answers none.
"""

import contextlib
import itertools
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from infra.embedded.set_file import SET_FILE
from infra.embedded.set_lock import hold
from tests.support.load import busy_seconds
from tests.support.patience import wait_for
from tests.support.preloaded import CLI, Preloaded
from tests.support.printed import commands
from tests.support.running_set import EMPROPS, RunningSet, running_set
from tests.support.silence import SilentProxy, frozen

pytestmark = pytest.mark.faults

STREAM = "0d9f6c1e-0000-0000-0000-000000000000"
COMMANDS = [
    "events",
    "events --follow",
    f"events --stream {STREAM}",
    f"state {STREAM}",
    "projections list",
    "projections rebuild --check",
    "projections unused",
    "projections unused --drop",
    "projections skip --table entries_v2 --position 1 --reason unreadable",
    "parked list",
    "parked inspect 1",
    "parked retry 1",
    "parked discard 1 --reason unreadable",
]
STOPPED_SECONDS, SILENT_SECONDS, DEMO_SECONDS, MIDDLE_SECONDS = 3.0, 12.0, 25.0, 20.0
FOLLOW_SECONDS = 25.0
"""From the silence on: a command that works or waits looks every three seconds whether its servers are still there."""


def start(command: str, data: Path) -> Preloaded:
    return Preloaded(CLI, *shlex.split(command), "--data", str(data), "--service", "credits")


def end(process: Preloaded) -> tuple[int, str]:
    """Exit code and words; fails, with the process ended, for one that does not end by itself."""
    done = process.wait(90)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def suggested(code: int, output: str) -> list[str]:
    """The command that the sentence ends with, as a shell takes it apart; other programs' words are in no sentence."""
    assert code == 1, output
    assert output.count("emprops: ") == 1, output
    for word in ("Traceback", "libpq", "connection failed", "server closed", "Error", "psycopg"):
        assert word not in output
    return shlex.split(output.rpartition(": ")[2])


def test_every_command_on_a_history_is_among_those_tried() -> None:
    on_history = {words for words, command in commands() if {"data", "service"} <= {it.name for it in command.params}}
    assert len(on_history) > 5
    assert on_history == {words for words in on_history for command in COMMANDS if command.startswith(words)}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int, str]:
    """A set that was stopped while `events --follow` ran on it, and how that ended."""
    with running_set(tmp_path_factory.mktemp("stopped") / "a set") as instance:
        followed = start("events --follow", instance.data)
        following(followed, instance)
        instance.stop()
        return instance.data, *end(followed)


def following(process: Preloaded, running: RunningSet) -> None:
    """Returns when the command has shown an event that was recorded for it to see."""
    running.command("demo", "--generations", "1")
    wait_for(lambda: "credits_granted" in process.output, "the command to show the event")


@pytest.mark.parametrize("command", COMMANDS)
def test_on_a_stopped_set_each_command_says_so_at_once(stopped: tuple[Path, int, str], command: str) -> None:
    """With a command that can be copied, also when the folder's name has a space."""
    data, _, _ = stopped
    began = time.monotonic()
    code, output = end(start(command, data))
    assert time.monotonic() - began < STOPPED_SECONDS + 2 * busy_seconds()
    assert f"The set in {data} is not running" in output
    assert suggested(code, output)[-3:] == ["up", "--data", str(data)]


def test_on_a_stopped_set_the_program_says_so(stopped: tuple[Path, int, str]) -> None:
    """As above, from a start of the interpreter, of which a busy machine makes any number of seconds."""
    data, _, _ = stopped
    command = [*EMPROPS, "events", "--data", str(data), "--service", "credits"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert suggested(done.returncode, done.stderr.strip())[-3:] == ["up", "--data", str(data)]


def test_a_set_that_stops_ends_what_follows_its_history(stopped: tuple[Path, int, str]) -> None:
    data, code, output = stopped
    assert suggested(code, output)[-2:] == ["--data", str(data)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSet]:
    with running_set(tmp_path_factory.mktemp("commands") / "set") as instance:
        instance.until_in_order(60)
        yield instance


@contextlib.contextmanager
def frozen_alone(pid: int) -> Iterator[None]:
    """PostgreSQL's listener: what is connected goes on, what connects gets no answer."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def assert_all_say_so(data: Path) -> None:
    began = time.monotonic()
    started = [start(command, data) for command in COMMANDS]
    for process in started:
        code, output = end(process)
        assert "PostgreSQL gave no answer in time" in output, f"{process.arguments}: {output}"
        assert suggested(code, output)[-3:] == ["status", "--data", str(data)]
    assert time.monotonic() - began < SILENT_SECONDS + 2 * busy_seconds()


def test_while_postgresql_is_frozen_each_command_says_so(running: RunningSet) -> None:
    """Also one that had its connections before: it would otherwise look as if nothing was being recorded."""
    followed = start("events --follow", running.data)
    following(followed, running)
    with frozen(running.pid("postgres")):
        began = time.monotonic()
        assert_all_say_so(running.data)
        code, output = end(followed)
        assert time.monotonic() - began < FOLLOW_SECONDS + 2 * busy_seconds()
    assert "PostgreSQL" in output
    assert suggested(code, output)[-3:] == ["status", "--data", str(running.data)]
    running.until_in_order(60)


def test_while_postgresql_takes_no_new_connections_each_command_says_so(running: RunningSet) -> None:
    with frozen_alone(running.pid("postgres")):
        assert_all_say_so(running.data)
    running.until_in_order(60)


def meets_a_silence_from_the_start(running: RunningSet, data: Path) -> None:
    """The set's file leads through the proxy here; a lock of our own on its folder stands for the supervisor's."""
    port = running.file.ports["postgres"]
    with SilentProxy(("127.0.0.1", port)) as proxy, hold(data):
        contents = (running.data / SET_FILE).read_text()
        (data / SET_FILE).write_text(contents.replace(f"127.0.0.1:{port}", proxy.address))
        with proxy.silent():
            assert_all_say_so(data)
        assert proxy.connections >= len(COMMANDS)


def until_connected(proxy: SilentProxy, number: int, process: Preloaded) -> None:
    """Or until the command has ended without so many. Looks often: its next query is to meet the silence."""
    wait_for(
        lambda: proxy.connections >= number or process.poll() is not None,
        f"{process.arguments} makes connections, up to {number}",
        every=0.001,
    )


def meets_a_silence_in_the_middle(running: RunningSet, data: Path, command: str, connections: int) -> None:
    """Once so many connections were made, nothing answers any more."""
    port = running.file.ports["postgres"]
    with SilentProxy(("127.0.0.1", port)) as proxy, hold(data):
        contents = (running.data / SET_FILE).read_text()
        (data / SET_FILE).write_text(contents.replace(f"127.0.0.1:{port}", proxy.address))
        process = start(command, data)
        until_connected(proxy, connections, process)
        with proxy.silent():
            began = time.monotonic()
            code, output = end(process)
        assert time.monotonic() - began < MIDDLE_SECONDS + 2 * busy_seconds()
        # It may have had all that it needed.
        assert code == 0 or suggested(code, output)[-3:] == ["status", "--data", str(data)]


def meets_a_silent_edge(running: RunningSet) -> None:
    port = urlsplit(running.url).port
    assert port is not None
    with SilentProxy(("127.0.0.1", port)) as proxy, proxy.silent():
        url = f"http://{proxy.address}"
        began = time.monotonic()
        code, output = end(Preloaded(CLI, "demo", "--url", url, "--token", running.token(uuid4())))
        assert time.monotonic() - began < DEMO_SECONDS + 2 * busy_seconds()
    assert f"the edge at {url} can't be reached" in output
    assert suggested(code, output)[-3:] == ["status", "--data", "DIR"]


IN_THE_MIDDLE = list(itertools.product(("projections list", "projections rebuild --check", "events --follow"), (4, 7)))


@pytest.fixture(scope="module")
def trials(running: RunningSet, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[object, Future[None]]]:
    """Each behind a proxy of its own, and with its own seconds, so that all wait at the same time."""
    new = tmp_path_factory.mktemp
    with ThreadPoolExecutor(len(IN_THE_MIDDLE) + 2) as threads:
        yield {
            "start": threads.submit(meets_a_silence_from_the_start, running, new("start")),
            **{
                case: threads.submit(meets_a_silence_in_the_middle, running, new("half"), *case)
                for case in IN_THE_MIDDLE
            },
            "edge": threads.submit(meets_a_silent_edge, running),
        }


def test_while_a_proxy_is_silent_each_command_says_so(trials: dict[object, Future[None]]) -> None:
    assert trials["start"].result() is None


@pytest.mark.parametrize("case", IN_THE_MIDDLE)
def test_a_silence_in_the_middle_of_its_work_ends_each_command(
    trials: dict[object, Future[None]], case: tuple[str, int]
) -> None:
    """Also where a query has no bound of its own."""
    assert trials[case].result() is None


def test_a_demo_on_an_edge_that_is_silent_says_so(trials: dict[object, Future[None]]) -> None:
    assert trials["edge"].result() is None
