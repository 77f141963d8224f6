"""Express and SQL rows in one transaction, as a process of its own; where Node is missing, a stand-in in Python."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg

from infra.embedded.ports import LOOPBACK, PortPicker
from infra.embedded.probes import get
from infra.embedded.process import ProcessSpec, running

SOURCES = Path(__file__).parent / "crud"
INSTALLED = Path(__file__).parent / ".installed"
"""Kept for the next run, and ignored by Git."""
INSTALL_SECONDS = 120


@dataclass(frozen=True)
class Peer:
    name: str
    url: str
    pid: int
    note: str
    """Why it is the stand-in; empty for the peer itself."""


Find = Callable[[str], str | None]
"""Returns the path of a program; None if it is not installed."""


def install(folder: Path = INSTALLED, find: Find = shutil.which) -> tuple[Path | None, str]:
    """The folder that server.mjs can run in, or None with the reason why there is none."""
    if find("node") is None or (npm := find("npm")) is None:
        return None, "Node or npm is not installed"
    manifest = (SOURCES / "package.json").read_bytes()
    stamp = folder / hashlib.sha256(manifest).hexdigest()
    if not stamp.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "package.json").write_bytes(manifest)
        command = [npm, "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        try:
            completed = subprocess.run(
                command, cwd=folder, check=False, capture_output=True, text=True, timeout=INSTALL_SECONDS
            )
        except subprocess.TimeoutExpired:
            return None, f"npm has not installed Express within {INSTALL_SECONDS} s"
        if completed.returncode != 0:
            lines = completed.stderr.strip().splitlines() or [f"it ended with {completed.returncode}"]
            return None, f"npm could not install Express: {lines[0]}"
        stamp.touch()
    shutil.copy(SOURCES / "server.mjs", folder)  # modules are looked for beside the file
    return folder, ""


@contextlib.contextmanager
def crud_peer(dsn: str, logs: Path, find: Find = shutil.which) -> Iterator[Peer]:
    """Serving on an empty database, for the length of a `with` block."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute((SOURCES / "tables.sql").read_bytes())
    folder, why = install(find=find)
    if folder is not None:
        name, command = "Express and SQL", (find("node") or "node", "server.mjs")
    else:
        name, command = "a stand-in for Express: aiohttp and SQL", (sys.executable, str(SOURCES / "stand_in.py"))
    port = PortPicker().pick("peer")
    url = f"http://{LOOPBACK}:{port}"

    def answers() -> None:
        get(url, "/", 2.0)

    spec = ProcessSpec(
        name="crud-peer",
        command=command,
        environment={"DATABASE_URL": dsn, "PORT": str(port), "NODE_ENV": "production", "PATH": os.environ["PATH"]},
        ready=answers,
        cwd=folder or SOURCES,
    )
    with running(spec, logs) as process:
        yield Peer(name, url, process.pid, why)
