"""ComfyUI as a process of its own: a real one in CPU mode, without custom nodes, or the stand-in.

COMFY_DIR is the folder of a real one, with `main.py`; COMFY_PYTHON the Python with its requirements (by default
`.venv/bin/python` in that folder). No model is needed: tests use nodes such as EmptyImage, ImageInvert and SaveImage.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp

from tests.support.patience import wait_for
from tests.support.serving import free_port

START_SECONDS = 200.0
ROOT = Path(__file__).parents[3]


def comfy_dir() -> Path | None:
    """Where a real ComfyUI is, or None. Raises AssertionError for a folder that has none."""
    if not (path := os.environ.get("COMFY_DIR")):
        return None
    folder = Path(path)
    assert (folder / "main.py").is_file(), f"COMFY_DIR={folder}: has no main.py"
    return folder


async def runs_a_graph(comfy: "ComfyProcess") -> bool:
    async with aiohttp.ClientSession() as session, session.get(f"{comfy.url}/queue") as response:
        queue: Any = await response.json()
    return bool(queue["queue_running"])


class ComfyProcess:
    """`start` and `kill` may be called again and again, on the same port; `files` keeps the log."""

    is_real = False

    def __init__(self, files: Path, port: int = 0) -> None:
        self.files, self.port = files, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def command(self) -> Sequence[str]:
        """The stand-in takes half a second for each node."""
        return [sys.executable, "-m", "tests.support.comfy", "--stand-in", "0.5", "--port", str(self.port)]

    @property
    def folder(self) -> Path:
        return ROOT

    def start(self) -> "ComfyProcess":
        self.files.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        wait_for(self._answers, f"ComfyUI at {self.url}", within=START_SECONDS)
        return self

    @property
    def _log(self) -> Path:
        return self.files / "comfyui.log"

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log.read_text()[-2000:]
        try:
            with urllib.request.urlopen(f"{self.url}/system_stats", timeout=5) as response:
                return bool(json.load(response)["system"])
        except (urllib.error.URLError, OSError):
            return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()
            self.process = None


class RealComfy(ComfyProcess):
    is_real = True

    def __init__(self, code: Path, files: Path, port: int = 0) -> None:
        super().__init__(files, port)
        self.code = code

    @property
    def command(self) -> Sequence[str]:
        python = os.environ.get("COMFY_PYTHON") or str(self.code / ".venv/bin/python")
        where = ["--cpu", "--listen", "127.0.0.1", "--port", str(self.port)]
        return [python, "main.py", *where, "--disable-all-custom-nodes", "--base-directory", str(self.files)]

    @property
    def folder(self) -> Path:
        return self.code

    def start(self) -> "RealComfy":
        for name in ("input", "output", "temp", "user", "models", "custom_nodes"):
            (self.files / name).mkdir(parents=True, exist_ok=True)
        super().start()
        return self


def kinds() -> list[str]:
    """What tests on a ComfyUI process run on: the stand-in, and a real one where COMFY_DIR says where it is."""
    return ["stand-in", *(["real"] if comfy_dir() else [])]


@contextlib.contextmanager
def comfy_process(kind: str, files: Path) -> Iterator[ComfyProcess]:
    """A running ComfyUI of one of these kinds; a test may kill it and start it again."""
    code = comfy_dir()
    process = RealComfy(code, files) if kind == "real" and code is not None else ComfyProcess(files)
    process.start()
    try:
        yield process
    finally:
        process.kill()
