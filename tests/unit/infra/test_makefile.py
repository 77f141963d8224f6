"""What `make` does for all that it runs."""

import os
import subprocess

from tests.support.running_set import ROOT


def test_modules_are_compiled_once_for_all_processes() -> None:
    """Also where the environment tells Python not to keep what it has compiled, as images of containers do."""
    show = "show:\n\t@echo $${PYTHONDONTWRITEBYTECODE-keeps}"
    completed = subprocess.run(
        ["make", "--no-print-directory", "--eval", show, "show"],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert completed.stdout == "keeps\n"
