"""A whole set as its users run it: `emprops up` in a process of its own, on a folder of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from infra.demo.client import Client
from infra.embedded.keys import ensure_private_key, sign_token
from infra.embedded.set_file import SetFile, load_set

EMPROPS = [sys.executable, "-c", "from infra.cli.main import main; main()"]
START_SECONDS = 90.0


class RunningSet:
    """`up()` starts it, `stop()` ends it as Ctrl-C would; processes are killed by their ids only."""

    def __init__(self, data: Path, replicas: int = 1) -> None:
        self.data, self.replicas = data, replicas
        self.process: subprocess.Popen[bytes] | None = None
        self.output = data.with_name(f"{data.name}.out")

    def up(self, *, timeout: float = START_SECONDS) -> None:
        """Returns when `ready` stands on a line of its own."""
        command = [*EMPROPS, "up", "--data", str(self.data), "--port", "0", "--replicas", str(self.replicas)]
        already = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True)
        deadline = time.monotonic() + timeout
        while not any(line.startswith(b"ready ") for line in self._said(already).splitlines()):
            said = self._said(already).decode()
            assert self.process.poll() is None, f"the set ended with {self.process.returncode}:\n{said}"
            assert time.monotonic() < deadline, f"not ready after {timeout} s:\n{said}"
            time.sleep(0.05)  # the only thing to wait on is another process's output file

    def _said(self, since: int) -> bytes:
        with self.output.open("rb") as output:
            output.seek(since)
            return output.read()

    def stop(self) -> float:
        """SIGTERM; the seconds that stopping took."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(30)
        return time.monotonic() - began

    @property
    def file(self) -> SetFile:
        return load_set(self.data)

    @property
    def url(self) -> str:
        return self.file.url

    def kill(self, name: str) -> int:
        """kill -9 of one of its processes, by the id that the set has written down; the id."""
        info = next(each for each in self.file.processes if each.name == name)
        assert info.pid is not None, f"{name} does not run"
        os.kill(info.pid, signal.SIGKILL)
        return info.pid

    def token(self, user: UUID, *roles: str, ttl: int = 3600) -> str:
        made = self.file
        key = ensure_private_key(Path(made.issuer_key_file))
        return sign_token(
            key, user=user, roles=roles or ("user",), issuer=made.issuer, audience=made.audience, ttl=ttl
        )[0]

    def client(self, user: UUID, *roles: str) -> Client:
        return Client(self.url, self.token(user, *roles))

    async def rich_user(self, credits_: float = 100) -> UUID:
        """A new user with so many credits."""
        user = uuid4()
        async with self.client(uuid4(), "user", "operator") as operator:
            await operator.post("/credits/grants", {"user_id": str(user), "amount": credits_, "source": "test"})
        return user

    def command(self, *arguments: str, check: bool = True) -> Any:
        """What `emprops … --json` prints, decoded; one object, or one per line."""
        command = [*EMPROPS, *arguments, "--data", str(self.data), "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return [json.loads(line) for line in done.stdout.splitlines()]


@contextlib.contextmanager
def running_set(data: Path, replicas: int = 1) -> Iterator[RunningSet]:
    made = RunningSet(data, replicas)
    try:
        made.up()
        yield made
    finally:
        if made.process is not None:
            made.stop()
