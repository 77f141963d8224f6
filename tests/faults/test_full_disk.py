"""R5, a full disk: for 20 s nothing can be written where the set keeps its data; then all goes on by itself."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.silent import assert_held, silence
from tests.support.jobs import assert_rebuilds_are_equal
from tests.support.load import load
from tests.support.running_set import RunningSet, running_set

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(os.geteuid() != 0, reason="a small file system of the test's own: only root may mount one"),
]

SIZE = "1500m"
SECONDS = 20.0
RECOVERY_SECONDS = 60.0
FILE_STORE_SECONDS = 60.0
"""SeaweedFS looks once a minute whether its disk has space, and stores no file until it has seen some again."""
CHUNK = bytes(1024 * 1024)


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A file system of a bounded size, gone with the test."""
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0755", "emprops-test", folder], check=True)
    yield folder
    # Lazily: what has just been ended may still have a file open there.
    subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture(scope="module")
def running(disk: Path) -> Iterator[RunningSet]:
    with running_set(disk / "data") as instance:
        yield instance


class Filler:
    """Takes all the space that there is, and goes on taking what becomes free."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __enter__(self) -> None:
        self._descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self.fill()

    def fill(self) -> None:
        piece = CHUNK
        while piece:
            try:
                os.write(self._descriptor, piece)
            except OSError:  # ENOSPC: then in smaller pieces, to the last byte
                piece = piece[: len(piece) // 2]

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)
        self._file.unlink()


async def test_a_full_disk(running: RunningSet, disk: Path) -> None:
    """Servers may die of it and be started again, as often as need be; the supervisor lives."""
    supervisor = running.process
    assert supervisor is not None
    async with load(running) as users:
        await users.job_ends(within=60)
        async with silence(users, SECONDS, lambda: Filler(disk / "filler"), recovery=RECOVERY_SECONDS):
            await asyncio.to_thread(running.until_told, "", SECONDS)
        assert supervisor.poll() is None
        await users.job_ends(within=RECOVERY_SECONDS + FILE_STORE_SECONDS)
    await assert_held(users)


async def test_processes_that_die_while_it_is_full_are_started_again(running: RunningSet, disk: Path) -> None:
    """Also when not even the supervisor's own record can be written."""
    async with load(running) as users:
        with Filler(disk / "filler"):
            killed = {name: running.kill(name) for name in ("generation-1", "collections-1", "worker-1", "nats")}
            await asyncio.sleep(SECONDS)  # how long it is full is what is tried here
        await users.job_ends(within=RECOVERY_SECONDS + FILE_STORE_SECONDS)
        assert all(running.pid(name) != pid for name, pid in killed.items())
    await assert_held(users)


async def test_rebuilt_read_tables_equal_the_live_ones_after_all_that(running: RunningSet) -> None:
    assert_rebuilds_are_equal(running)
