"""Commands that are printed run as printed: the shell blocks of README.md and docs/, and all examples of `--help`.

In a folder that looks like a clone with `make run` at work in it. Only the address is another one, since the port may
be taken.
"""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.demo.client import Client
from tests.support.jobs import answered
from tests.support.patience import PATIENCE, eventually
from tests.support.printed import documents, help_examples, shell_blocks
from tests.support.running_set import ROOT, RunningSet

ADDRESS = "http://127.0.0.1:8080"
VERB = re.compile(r"make (demo|run|test|check|bench|lock)\b")
"""Serves until Ctrl-C, or takes minutes: `.ci` runs them."""
SERVES = re.compile(r"emprops up ")
FOLLOWS = re.compile(r"--follow\b")
FOLLOW_SECONDS = 3
TIMED_OUT = 124
REFUSED = (
    *("emprops projections skip", "emprops parked inspect", "emprops parked retry", "emprops parked discard"),
    "emprops rotate",
    "emprops secrets delete",
    "emprops pin",
    *("emprops jobs cancel", "emprops jobs resume $JOB_ID", "emprops jobs pause", "emprops jobs unpause"),
)
"""On a healthy set that runs: no such event or secret exists, the set must be stopped first, the job has completed,
or no pinning service is set. They report it."""
ON_SETS_OF_THEIR_OWN = {"rotate-keys.md", "back-up-and-restore.md", "bring-your-comfyui.md", "connect-an-api.md"}
"""Guides whose commands stop or restore the set, or need a server besides it: `test_operating_guides.py`,
`test_bring_your_comfyui.py` and `test_connect_an_api.py` run them."""
AT_A_TIME = 4
KEEP = '\n{ export -p; declare -f; } > "$STATE"\n'


class Shell:
    """A person's shell in a clone: variables and functions stay from one block to the next."""

    def __init__(self, folder: Path, running: RunningSet) -> None:
        self.folder, self.running = folder, running
        (folder / ".venv").symlink_to(sys.prefix)
        for name in ("Makefile", "requirements.lock", "pyproject.toml"):
            (folder / name).symlink_to(ROOT / name)
        (folder / "data").mkdir()
        for name in ("set", "demo"):
            (folder / "data" / name).symlink_to(running.data)
        # Of a request that is refused, curl says nothing by its exit code unless it is told to.
        (folder / ".curlrc").write_text("fail-with-body\n")
        self._state = folder / "state.sh"
        self._state.write_text("")

    def line(self, command: str) -> str:
        return command.replace(ADDRESS, self.running.url)

    async def run(self, script: str, *, keep: bool = False) -> tuple[int, str]:
        """Exit code and what it printed. A failure of any command, and a variable that nothing has set, end it."""
        text = f'set -euo pipefail\nset -a\n. "$STATE"\n{self.line(script)}{KEEP if keep else ""}'
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", text),
            cwd=self.folder,
            env={**os.environ, "STATE": str(self._state), "CURL_HOME": str(self.folder)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        try:
            # Each of its commands starts Python.
            async with asyncio.timeout(PATIENCE * len(script.splitlines())):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode is not None
        return process.returncode, output.decode()

    async def variable(self, name: str) -> str:
        code, output = await self.run(f'printf %s "${name}"')
        assert code == 0, output
        return output


@pytest.fixture
def shell(tmp_path: Path, running: RunningSet) -> Shell:
    return Shell(tmp_path, running)


async def follow_the_documents(shell: Shell) -> list[str]:
    """Runs every block in order; which files had one."""
    files = []
    for document in documents():
        if document.name in ON_SETS_OF_THEIR_OWN:
            continue
        for file, line, commands in shell_blocks(document):
            if "packages" in commands:
                await until_known_to_collections(shell)
            code, output = await shell.run(without_verbs(commands), keep=True)
            assert code == 0, f"{file}:{line}: exit {code}\n{commands}\n{output}"
            files.append(file)
    return files


def without_verbs(commands: str) -> str:
    """What takes long is only looked for in the Makefile."""
    return "\n".join(f"make -n {match[1]}" if (match := VERB.match(line)) else line for line in commands.splitlines())


async def until_known_to_collections(shell: Shell) -> None:
    """That the job has completed, which a person is slower to ask than events are to travel."""
    token, collection, job = [await shell.variable(name) for name in ("TOKEN", "COLLECTION_ID", "JOB_ID")]
    async with Client(shell.running.url, token) as client:
        path = f"/collections/{collection}/packages"
        await eventually(
            lambda: answered(client.post(path, {"job_id": job, "allow_local": True}), 404, 409, 503),
            "the job's end to be known",
            every=0.1,
        )


@pytest.mark.timeout(1800)  # about a hundred commands, each of which starts Python
async def test_the_commands_of_the_documents_and_of_help_run_as_printed(shell: Shell) -> None:
    assert set(await follow_the_documents(shell)) == {
        "README.md",
        "account-for-credits.md",
        "creators-guide.md",
        "import-your-components.md",
        "investigate-a-job.md",
        "operators-first-hour.md",
        "publish-a-package.md",
        "upgrade.md",
    }
    examples = help_examples()
    assert len(examples) > 25
    limit = asyncio.Semaphore(AT_A_TIME)

    async def fault_of_example(example: str) -> str:
        """What is wrong with it; empty when nothing is."""
        if SERVES.search(example):
            return ""  # as `make run`
        async with limit:
            if FOLLOWS.search(example):
                code, output = await shell.run(f"timeout --signal INT {FOLLOW_SECONDS} {example}")
                return "" if code == TIMED_OUT else f"{example}: exit {code}\n{output}"
            code, output = await shell.run(example)
        expected = 1 if example.startswith(REFUSED) else 0
        is_explained = expected == 0 or output.startswith("emprops: ")
        return "" if code == expected and is_explained else f"{example}: exit {code}\n{output}"

    wrong = [fault for fault in await asyncio.gather(*map(fault_of_example, examples)) if fault]
    assert not wrong, "\n".join(wrong)


async def test_what_the_demo_prints_to_look_at_next_runs_as_printed(shell: Shell) -> None:
    code, output = await shell.run(".venv/bin/emprops demo --data data/set --generations 1")
    assert code == 0, output
    _, _, after = output.partition("Where to look next:\n")
    printed = dict(re.findall(r"^  (\S.*?)  +(\S.*)$", after, re.MULTILINE))
    assert list(printed) == ["all operations", "the history", "the job as it was"]
    for command in (f"curl -s {printed['all operations']}", printed["the history"], printed["the job as it was"]):
        code, output = await shell.run(command)
        assert code == 0, f"{command}: {output}"
    code, _ = await shell.run(f'test "$({printed["the history"]} | grep -c job_requested)" = 1')
    assert code == 0


async def test_a_refused_request_and_an_unset_variable_are_found(shell: Shell) -> None:
    """Which `curl` and a shell pass over in silence."""
    code, output = await shell.run(f"curl -s {ADDRESS}/projects")
    assert code != 0
    assert "UNAUTHENTICATED" in output
    code, output = await shell.run("echo $NOBODY_HAS_SET_THIS")
    assert code != 0
    assert "unbound" in output
