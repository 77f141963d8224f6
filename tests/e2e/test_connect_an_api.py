"""docs/how-to/connect-an-api.md does what it says: its API and its commands are run, on a set of their own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.patience import wait_for
from tests.support.printed import shell_blocks
from tests.support.running_set import ROOT, running_set
from tests.support.serving import free_port

GUIDE = ROOT / "docs" / "how-to" / "connect-an-api.md"
API = re.compile(r"^```python\n# picture_api\.py\n(.*?)^```$", re.MULTILINE | re.DOTALL)
KEY = "a-key-of-your-api"


def files_with(text: str, folder: Path) -> list[Path]:
    """The files below a folder, logs and data of all servers among them, that contain the text."""
    files = []
    for path in folder.rglob("*"):
        try:
            if path.is_file() and text.encode() in path.read_bytes():
                files.append(path)
        except FileNotFoundError:  # a temporary file of a server
            continue
    return files


def test_the_guide_does_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the key, which the API needs for every call, is in no file of the set: no event, table, log or stream."""
    port = free_port()
    [code] = API.findall(GUIDE.read_text())
    (tmp_path / "picture_api.py").write_text(code.replace("9900", str(port)))
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("EMPROPS_PRIVATE_HOSTS", "127.0.0.1")
    log = (tmp_path / "picture_api.log").open("wb")
    api = subprocess.Popen([sys.executable, "picture_api.py"], cwd=tmp_path, stdout=log, stderr=log)
    try:
        with running_set(tmp_path / "data" / "set") as running:
            assert "http-api-1" not in [process.name for process in running.file.processes]
            script = "\n".join(block.commands for block in shell_blocks(GUIDE))
            script = script.replace("9900", str(port)).replace("http://127.0.0.1:8080", running.url)
            path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
            environment = {**os.environ, "PATH": path}
            done = subprocess.run(
                ["bash", "-euc", script],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=240,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            assert done.stdout.rstrip().endswith("completed"), done.stdout
            assert "PICTURE_KEY" in done.stdout
            assert KEY not in done.stdout
            wait_for(lambda: running.info("http-api-1").state == "ready", "the http worker to be shown as ready")
            assert (tmp_path / "picture_api.log").read_text().count("started") == 1
            assert files_with(KEY, running.data) == []
        assert files_with(KEY, tmp_path / "data") == []
    finally:
        api.kill()
        api.wait()
        log.close()
