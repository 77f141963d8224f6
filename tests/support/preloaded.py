"""Programs of ours in forks of a process that has imported their modules, so that each starts at once.

Importing takes a second or more of a core; a suite that calls `emprops` hundreds of times pays it once. A test of the
start itself, or of a program's place on the machine, starts an interpreter instead (EMPROPS of running_set.py).
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

CLI = "infra.cli"
MODULES = (
    *("infra.cli.demo", "infra.cli.events", "infra.cli.parked", "infra.cli.projections", "infra.cli.state"),
    *("infra.cli.status", "infra.cli.token"),
    *(f"services.{service}.app" for service in ("collections", "generation", "credits", "storage")),
    *("workers.kit", "tests.support.preloaded"),
)
FORKS = multiprocessing.get_context("forkserver")
SECONDS = 120.0
"""The longest that `wait` waits for the end of a program, on a busy machine."""


class Preloaded:
    """`python -m MODULE ARGUMENTS…` in a fork, with this process's variables, folder, and `environment`."""

    def __init__(self, module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.arguments = (module, *arguments)
        self._folder = tempfile.TemporaryDirectory(prefix="preloaded-")
        self._out, self._errors = (Path(self._folder.name) / name for name in ("out", "errors"))
        variables = {**os.environ, **(environment or {})}
        FORKS.set_forkserver_preload(list(MODULES))  # here: what renders in this process may have set others meanwhile
        self._process = FORKS.Process(
            target=_become, args=(self.arguments, variables, str(self._out), str(self._errors)), daemon=True
        )
        self._process.start()

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.exitcode

    def kill(self) -> None:
        """SIGKILL; returns when it has ended. Its output is gone then."""
        self._process.kill()
        self._process.join()
        self._folder.cleanup()

    @property
    def output(self) -> str:
        """What it has written to its standard output so far."""
        return _text(self._out)

    def wait(self, within: float = SECONDS) -> "subprocess.CompletedProcess[str]":
        """Its result; one that does not end in time is killed, and the test fails with what it has written."""
        self._process.join(within)
        code, output, errors = self._process.exitcode, self.output, _text(self._errors)
        self.kill()
        assert code is not None, f"{self.arguments} does not end within {within:g} s: {output}\n{errors}"
        return subprocess.CompletedProcess(self.arguments, code, output, errors)


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def emprops(*arguments: str, environment: Mapping[str, str] | None = None) -> "subprocess.CompletedProcess[str]":
    """The result of `emprops ARGUMENTS…`, whichever its exit code is."""
    return Preloaded(CLI, *arguments, environment=environment).wait()


def _become(arguments: tuple[str, ...], variables: Mapping[str, str], output: str, errors: str) -> None:
    """In the fork: runs the module as `python -m` does."""
    for descriptor, path in ((1, output), (2, errors)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w", buffering=1)
    os.environ.clear()
    os.environ.update(variables)
    module, *rest = arguments
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
