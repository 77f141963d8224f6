"""A real ComfyUI in CPU mode, without custom nodes, in a folder of its own.

COMFY_DIR is its folder, with `main.py`; COMFY_PYTHON the Python with its requirements (by default `.venv/bin/python`
in that folder). No model is needed: tests use nodes such as EmptyImage, ImageInvert, LoadImage and SaveImage.
"""

import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from tests.support.patience import wait_for
from tests.support.serving import free_port

START_SECONDS = 200.0


def comfy_dir() -> Path | None:
    """Where a real ComfyUI is, or None. Raises AssertionError for a folder that has none."""
    if not (named := os.environ.get("COMFY_DIR")):
        return None
    folder = Path(named)
    assert (folder / "main.py").is_file(), f"COMFY_DIR={folder}: has no main.py"
    return folder


class RealComfy:
    """One process; `start` and `kill` may be called again and again, on the same port and files."""

    is_real = True

    def __init__(self, code: Path, files: Path, port: int = 0) -> None:
        self._code, self._files, self.port = code, files, port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "RealComfy":
        for name in ("input", "output", "temp", "user", "models", "custom_nodes"):
            (self._files / name).mkdir(parents=True, exist_ok=True)
        python = os.environ.get("COMFY_PYTHON") or str(self._code / ".venv/bin/python")
        command = [python, "main.py", "--cpu", "--listen", "127.0.0.1", "--port", str(self.port)]
        command += ["--disable-all-custom-nodes", "--base-directory", str(self._files)]
        with (self._files / "comfyui.log").open("ab") as log:
            self.process = subprocess.Popen(command, cwd=self._code, stdout=log, stderr=log, start_new_session=True)
        wait_for(self._answers, f"ComfyUI at {self.url}", within=START_SECONDS)
        return self

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, (self._files / "comfyui.log").read_text()[-2000:]
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
