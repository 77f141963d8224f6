"""An earlier release's code beside today's: its tree out of git, run by today's interpreter and dependencies.

A process of a set is made an old one by its environment: `running_set(data, replicas=2, environment={"credits-2":
old_release(folder)})`. The path of the tree comes before that of the installed package, and what it starts inherits it.
"""

import io
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEFORE = "5a72a2ee4b9444048e75d0fc147e7e0a9fe4b3cc"
"""The last commit before read tables had versions in their names and schemas had numbered migrations."""


def old_release(folder: Path, commit: str = BEFORE) -> dict[str, str]:
    """The environment in which a process runs the code of `commit`, unpacked into the folder; skips without history."""
    packed = subprocess.run(
        ["git", "archive", commit, "services", "shared", "infra"], cwd=ROOT, capture_output=True, check=False
    )
    if packed.returncode != 0:
        pytest.skip(f"no history here to take {commit[:7]} from: {packed.stderr.decode().strip()}")
    tree = folder / commit[:7]
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(tree, filter="data")
    return {"PYTHONPATH": str(tree)}
