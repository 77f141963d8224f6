"""An earlier release's code, exported from git, run with today's interpreter and dependencies.

A process of a set runs it by its environment: `running_set(data, replicas=2, environment={"credits-2":
old_release(folder)})`. PYTHONPATH puts its tree before the installed package, also for child processes.
"""

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BEFORE = "5a72a2ee4b9444048e75d0fc147e7e0a9fe4b3cc"
"""Release 0.1.0, tagged v0.1.0: before read tables had versions in their names and schemas numbered migrations."""
NEEDED = "TESTS_NEED_HISTORY"
"""Set where tests with an earlier release must not be skipped (.ci/run)."""


def old_release(folder: Path, commit: str = BEFORE) -> dict[str, str]:
    """The environment in which a process runs the code of `commit`, unpacked into the folder.

    Skips the test in a copy of the code without history, or fails it where `TESTS_NEED_HISTORY` is set.
    """
    packed = subprocess.run(
        ["git", "archive", commit, "services", "shared", "infra"], cwd=ROOT, capture_output=True, check=False
    )
    if packed.returncode != 0:
        why = f"git has no commit {commit[:7]}: {packed.stderr.decode().strip()}"
        if os.environ.get(NEEDED):
            pytest.fail(f"{why} (git fetch --unshallow)")
        pytest.skip(why)
    tree = folder / commit[:7]
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(tree, filter="data")
    return {"PYTHONPATH": str(tree)}
