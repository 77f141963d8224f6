"""A program in a fork of what has imported its modules is the same one as in an interpreter of its own."""

import subprocess
import sys

import pytest

from tests.support import preloaded
from tests.support.running_set import ROOT


@pytest.mark.parametrize("arguments", [["state", "--help"], ["status", "--data", "none"], ["events", "--service", "x"]])
def test_its_end_and_its_words_are_those_of_the_interpreter(arguments: list[str]) -> None:
    program = [sys.executable, "-m", "infra.cli", *arguments]
    alone = subprocess.run(program, capture_output=True, text=True, check=False, timeout=90, cwd=ROOT)
    done = preloaded.emprops(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_it_has_this_process_variables_and_those_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also such as have been set since the first one was forked."""

    def lines(environment: dict[str, str] | None = None) -> int:
        return len(preloaded.emprops("events", "--help", environment=environment).stdout.splitlines())

    monkeypatch.setenv("COLUMNS", "80")
    at_80 = lines()
    monkeypatch.setenv("COLUMNS", "60")
    assert at_80 < lines() < lines({"COLUMNS": "40"})


def test_one_that_does_not_end_in_time_is_ended() -> None:
    program = preloaded.Preloaded("http.server", "--bind", "127.0.0.1", "0")
    with pytest.raises(AssertionError, match="does not end within 1 s"):
        program.wait(1)
    assert program.poll() is not None
