"""Backs up and restores the embedded set's servers, as an operator would: whole, or a single database.

Cold copies are made and restored while the set is down. To replace a server under running services, the supervisor is
stopped (SIGSTOP), which would otherwise restart the server at once.
"""

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import psutil

from infra.embedded.postgres import SUPERUSER, installation
from tests.support.patience import wait_for
from tests.support.running_set import RunningSet

Server = Literal["postgres", "nats", "s3"]
STOP_SECONDS = 30.0


def back_up(running: RunningSet, server: Server, to: Path) -> None:
    """A cold copy of one server's folder; the set must be down, or that server (see `down`)."""
    shutil.copytree(running.data / server, to, symlinks=True, ignore=shutil.ignore_patterns("*.sock"))


def restore(running: RunningSet, server: Server, backup: Path) -> None:
    """Replaces the server's folder by a copy of the backup; the server must be down, as above."""
    folder = running.data / server
    owner = folder.stat()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder, symlinks=True)
    folder.chmod(0o700)
    for path in [folder, *folder.rglob("*")]:  # as root, PostgreSQL may run as another user
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


@contextlib.contextmanager
def down(running: RunningSet, server: Literal["postgres", "nats"]) -> Iterator[None]:
    """Shuts the server down for the length of a `with` block; its clients keep running."""
    assert running.process is not None
    process = psutil.Process(running.pid(server))
    supervisor = psutil.Process(running.process.pid)
    supervisor.suspend()
    try:
        process.send_signal(signal.SIGINT if server == "postgres" else signal.SIGTERM)

        def has_ended() -> bool:  # its stopped parent can't reap it
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

        wait_for(has_ended, f"{server} to stop", within=STOP_SECONDS)
        yield
    finally:
        supervisor.resume()


def base_backup(running: RunningSet, to: Path) -> None:
    """A hot copy of all databases with pg_basebackup, while the set runs; for `restore`."""
    port = running.file.ports["postgres"]
    command = ["-h", "127.0.0.1", "-p", str(port), "-U", SUPERUSER, "-D", str(to), "-X", "stream", "-c", "fast"]
    _run(running, "pg_basebackup", *command)


def dump(running: RunningSet, database: str, to: Path) -> None:
    """Dumps one database while the set runs."""
    _run(
        running,
        "pg_dump",
        "--format=custom",
        f"--file={to}",
        running.file.postgres_url.rpartition("/")[0] + f"/{database}",
    )


def restore_dump(running: RunningSet, database: str, backup: Path) -> None:
    """Drops the database while it is in use, and restores it from the dump."""
    server = running.file.postgres_url
    _run(running, "psql", server, "-qc", f'DROP DATABASE "{database}" WITH (FORCE)')
    _run(running, "pg_restore", "--create", "--exit-on-error", f"--dbname={server}", str(backup))


def _run(running: RunningSet, program: str, *arguments: str) -> None:
    password = running.file.postgres_url.split(":")[2].partition("@")[0]
    done = subprocess.run(
        [str(installation() / "bin" / program), *arguments],
        env={**os.environ, "PGPASSWORD": password},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, f"{program}: {done.stderr}"
