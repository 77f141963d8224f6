"""`emprops status` reports each process's readiness and progress, and exits with 1 if there is a problem."""

import asyncio
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner, Result
from litestar import Litestar

from infra.cli.main import main
from infra.embedded.process_start import start_of_pid
from infra.embedded.set_file import ProcessInfo, S3Info, SetFile, encode_set, write_set
from infra.embedded.set_lock import hold
from shared.http.health import NotReady, Readiness
from shared.http.operator_routes import health_routes
from shared.progress import Progress
from tests.support.patience import eventually
from tests.support.serving import serving

FINE = Progress(name="projection fine_v1", waiting=2, waiting_seconds=0.1)
STUCK = Progress(name="relay", waiting=12, waiting_seconds=61.0, event="x.v1 at 7", error="KeyError('a')")
PARKED = Progress(name="consumer c-v1", parked=3)


class Follower:
    def __init__(self, *answers: Progress) -> None:
        self._found = list(answers)

    async def progress(self) -> list[Progress]:
        return self._found


@contextmanager
def set_of(folder: Path, url: str) -> Iterator[Path]:
    """The folder of a set with one service; this process stands for the supervisor and for the service."""
    pid = os.getpid()
    service = ProcessInfo(name="credits-1", state="ready", pid=pid, start=start_of_pid(pid), url=url, tells_health=True)
    set_file = SetFile(
        url="http://edge.test",
        pid=pid,
        replicas=1,
        issuer="emprops",
        audience="emprops",
        development_user=uuid4(),
        issuer_key_file="",
        jwks_file="",
        grant_key_file="",
        postgres_url="",
        nats_url="",
        s3=S3Info(endpoint="", access_key="", secret_key="", bucket=""),
        services={},
        ports={},
        processes=[service],
    )
    write_set(folder, encode_set(set_file))
    with hold(folder):
        yield folder


async def status(folder: Path, *options: str) -> Result:
    words = ["status", "--data", str(folder), *options]
    return await asyncio.to_thread(CliRunner().invoke, main, words, env={"COLUMNS": "200"})


async def told(readiness: Readiness, folder: Path, *sentences: str, code: int) -> Result:
    """What the command prints, once that has every sentence: a busy machine may give no answer in two seconds."""
    async with serving(Litestar(route_handlers=health_routes(readiness))) as url:
        with set_of(folder, url):

            async def says_so() -> Result | None:
                result = await status(folder)
                lines = {line.strip() for line in result.output.splitlines()}
                return result if lines >= set(sentences) else None

            result = await eventually(says_so, f"{sentences} to be said")
            assert result.exit_code == code
            return result


async def test_all_is_well(tmp_path: Path) -> None:
    """What has only just come in, and what operators should know of the past, is no trouble."""

    async def stream() -> str:
        return "message 7 is not from this service's relay"

    readiness = Readiness()
    readiness.followers["projections"] = Follower(FINE)
    readiness.order["stream"] = stream
    note = "The stream of credits: message 7 is not from this service's relay"
    result = await told(readiness, tmp_path, "No problems found.", note, code=0)
    assert "projection fine_v1 2" in result.output


@pytest.mark.parametrize(
    ("progress", "sentence"),
    [
        (STUCK, "relay: 12 waiting, for 61 s on x.v1 at 7: KeyError('a')"),
        (PARKED, "consumer c-v1: 3 parked: see emprops parked list"),
    ],
    ids=["stuck", "parked"],
)
async def test_a_follower_without_progress_is_a_problem(tmp_path: Path, progress: Progress, sentence: str) -> None:
    """Although the service is ready."""
    readiness = Readiness()
    readiness.followers["it"] = Follower(FINE, progress)
    await told(readiness, tmp_path, "Problems:", f"credits-1: it: {sentence}", code=1)


async def test_what_can_not_serve(tmp_path: Path) -> None:
    async def postgresql() -> str:
        raise NotReady("it does not answer")

    readiness = Readiness({"postgresql": postgresql})
    result = await told(readiness, tmp_path, "credits-1: postgresql: it does not answer", code=1)
    assert "not ready" in result.output


async def test_for_programs(tmp_path: Path) -> None:
    """The same as JSON, with each follower's progress."""
    readiness = Readiness()
    readiness.followers["it"] = Follower(FINE, STUCK)
    async with serving(Litestar(route_handlers=health_routes(readiness))) as url:
        with set_of(tmp_path, url):

            async def answered() -> Result | None:
                result = await status(tmp_path, "--json")
                return result if json.loads(result.output)["processes"][0]["followers"] else None

            result = await eventually(answered, "the service's answer")
    report = json.loads(result.output)
    assert (result.exit_code, report["running"], report["ready"]) == (1, True, False)
    assert [follower["progress"]["waiting"] for follower in report["processes"][0]["followers"]] == [2, 12]
    assert report["why"] == ["credits-1: it: relay: 12 waiting, for 61 s on x.v1 at 7: KeyError('a')"]
