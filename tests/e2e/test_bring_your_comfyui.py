"""docs/how-to/bring-your-comfyui.md does what it says: its commands run as printed, on a set with a ComfyUI."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.comfy.real import ComfyProcess, comfy_process, kinds
from tests.support.printed import shell_blocks
from tests.support.running_set import ROOT, RunningSet, running_set

GUIDE = ROOT / "docs" / "how-to" / "bring-your-comfyui.md"


@pytest.fixture(params=kinds())
def comfy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ComfyProcess]:
    with comfy_process(request.param, tmp_path / "comfyui") as process:
        yield process


@pytest.fixture
def running(comfy: ComfyProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningSet]:
    monkeypatch.setenv("COMFY_URLS", comfy.url)
    (tmp_path / "data").mkdir()
    with running_set(tmp_path / "data" / "set") as instance:
        yield instance


def test_the_printed_workflow_runs_to_a_stored_picture(running: RunningSet, tmp_path: Path) -> None:
    (tmp_path / ".venv").symlink_to(sys.prefix)
    blocks = shell_blocks(GUIDE)
    assert len(blocks) == 2
    script = "\n".join(block.commands for block in blocks).replace("http://127.0.0.1:8080", running.url)
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    job = json.loads((tmp_path / "job.json").read_text())["data"]
    assert job["status"] == "completed", job
    assert "image/png" in json.dumps(job["generations"]), job
