"""A whole set as users run it: `emprops up` in a separate process, on its own folder."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import jwt

from infra.demo.client import Client
from infra.embedded.keys import ensure_private_key, sign_token
from infra.embedded.set_file import ProcessInfo, SetFile, load_set
from services.generation.workers.upload_grants import ISSUER
from tests.support import preloaded
from tests.support.patience import NotYet, wait_for
from tests.support.silence import SilentProxy, frozen

ROOT = Path(__file__).parents[2]
EMPROPS = [sys.executable, "-c", "from infra.cli.main import main; main()"]
ALTERED = [sys.executable, "-m", "tests.support.altered_up"]
START_SECONDS = 150.0
"""A start takes three seconds on an idle machine; up to fifty times as long on a busy one."""
PROBE_SECONDS = 0.05
SERVERS = ("postgres", "nats", "s3")


class Status(NamedTuple):
    """The result of `emprops status`: exit code, output, and duration."""

    code: int
    words: str
    """Standard output and standard error."""
    seconds: float

    @property
    def troubles(self) -> str:
        """The problems below the table, in lower case, without the table, which names every process."""
        return self.words.partition("Problems:")[2].lower()


class RunningSet:
    """`up()` starts the set, `stop()` stops it with SIGTERM.

    `routes` are connections that go through a proxy, from a process to a server or another process:
    `credits-1/postgres`, `edge-1/storage-2`. `environment` has additional variables, by process.
    """

    def __init__(
        self,
        data: Path,
        replicas: int = 1,
        routes: Iterable[str] = (),
        environment: Mapping[str, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        self.data, self.replicas = data, replicas
        self.process: subprocess.Popen[bytes] | None = None
        self.output = data.with_name(f"{data.name}.out")
        self._environment = environment
        self._stack = contextlib.ExitStack()
        self.proxies = {route: self._stack.enter_context(self._proxy(route)) for route in routes}

    def _proxy(self, route: str) -> SilentProxy:
        target = route.partition("/")[2]
        return SilentProxy(lambda: ("127.0.0.1", self.file.ports[target]))

    def up(self, *options: str, timeout: float = START_SECONDS, emprops: Sequence[str] = EMPROPS) -> None:
        """Starts the set and waits until it prints `ready`; `emprops`: the command's first arguments."""
        command = [*emprops]
        if self.proxies or self._environment:
            altered = self.data.with_name(f"{self.data.name}.altered.json")
            routes = {route: proxy.address for route, proxy in self.proxies.items()}
            altered.write_text(json.dumps({"routes": routes, "environment": self._environment}, default=dict))
            command = [*ALTERED, str(altered)]
        command += ["up", "--data", str(self.data), "--port", "0", "--replicas", str(self.replicas), *options]
        already = self.output.stat().st_size if self.output.exists() else 0
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, start_new_session=True, cwd=ROOT
            )
        process = self.process

        def is_ready() -> bool:
            text = self._output_since(already).decode()
            if not any(line.startswith("ready ") for line in text.splitlines()):
                assert process.poll() is None, f"the set ended with {process.returncode}:\n{text}"
                raise NotYet(text)
            return True

        wait_for(is_ready, "the set to be ready", within=timeout, every=PROBE_SECONDS)

    def _output_since(self, offset: int) -> bytes:
        with self.output.open("rb") as output:
            output.seek(offset)
            return output.read()

    def stop(self) -> float:
        """Sends SIGTERM and waits for the end; returns the seconds that it took."""
        assert self.process is not None
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        return time.monotonic() - began

    @property
    def file(self) -> SetFile:
        return load_set(self.data)

    @property
    def url(self) -> str:
        return self.file.url

    def close(self) -> None:
        """Stops the set, also when a proxy is silent."""
        for proxy in self.proxies.values():
            proxy.mode = "pass"
        if self.process is not None:
            self.stop()
        self._stack.close()

    def info(self, name: str) -> ProcessInfo:
        """The entry of a process in the set's file."""
        return next(process for process in self.file.processes if process.name == name)

    def pid(self, name: str) -> int:
        pid = self.info(name).pid
        assert pid is not None, f"{name} does not run"
        return pid

    def kill(self, name: str) -> int:
        """Sends SIGKILL to one of its processes; returns its pid."""
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        return pid

    @contextlib.contextmanager
    def frozen(self, *names: str) -> Iterator[None]:
        """Stops processes and their children with SIGSTOP for the length of a `with` block."""
        with frozen(*(self.pid(name) for name in names)):
            yield

    @contextlib.contextmanager
    def silent(self, *routes: str) -> Iterator[None]:
        """Makes the proxies of these routes silent for the length of a `with` block."""
        chosen = [self.proxies[route] for route in routes]
        try:
            for proxy in chosen:
                proxy.mode = "silent"
            yield
        finally:
            for proxy in chosen:
                proxy.mode = "pass"

    def token(self, user: UUID, *roles: str, ttl: int = 3600) -> str:
        file = self.file
        key = ensure_private_key(Path(file.issuer_key_file))
        return sign_token(
            key, user=user, roles=roles or ("user",), issuer=file.issuer, audience=file.audience, ttl=ttl
        )[0]

    def grant(self, user: UUID) -> str:
        """An upload grant for a step of this user, signed as generation does."""
        key = json.loads(Path(self.file.grant_key_file).read_text())
        job, gid, sid = (str(uuid4()) for _ in range(3))
        grant = {"prefix": f"generations/{user}/{job}/{gid}/{sid}/", "job_id": job, "gid": gid, "sid": sid}
        grant |= {"collection_id": str(uuid4()), "component_id": 1, "read_job": job}
        claims = {"iss": ISSUER, "aud": self.file.audience, "sub": str(user), "roles": ["worker"], "grant": grant}
        claims["exp"] = int(time.time()) + 3600
        private = jwt.PyJWK(key, algorithm="EdDSA")
        return jwt.encode(claims, private, algorithm="EdDSA", headers={"kid": key["kid"]})

    def client(self, user: UUID, *roles: str) -> Client:
        return Client(self.url, self.token(user, *roles))

    async def rich_user(self, credits_: float = 100) -> UUID:
        """A new user with `credits_` credits."""
        user = uuid4()
        async with self.client(uuid4(), "user", "operator") as operator:
            await operator.post("/credits/grants", {"user_id": str(user), "amount": credits_, "source": "test"})
        return user

    def command(self, *arguments: str, check: bool = True) -> Any:
        """The decoded output of `emprops … --json`: one value, or a list of one per line."""
        done = preloaded.emprops(*arguments, "--data", str(self.data), "--json")
        assert not check or done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        try:
            return json.loads(done.stdout)
        except json.JSONDecodeError:
            return [json.loads(line) for line in done.stdout.splitlines()]

    def say(self, *arguments: str) -> str:
        """The output of `emprops …`, as text."""
        done = preloaded.emprops(*arguments, "--data", str(self.data))
        assert done.returncode == 0, f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def status(self, *, preload: bool = True) -> Status:
        """Runs `emprops status` for a terminal of 400 columns. Without `preload`, its seconds have Python's start."""
        began = time.monotonic()
        arguments, wide = ("status", "--data", str(self.data)), {"COLUMNS": "400", "NO_COLOR": "1"}
        if preload:
            done = preloaded.emprops(*arguments, environment=wide)
        else:
            done = subprocess.run(
                [*EMPROPS, *arguments],
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
                env={**os.environ, **wide},
            )
        return Status(done.returncode, done.stdout + done.stderr, time.monotonic() - began)

    def until_told(self, name: str, within: float) -> Status:
        """Waits until `emprops status` exits with 1 and names `name` among the problems."""

        def names_it() -> Status:
            status = self.status()
            if status.code != 1 or name not in status.troubles:
                raise NotYet(status.code, status.words)
            return status

        return wait_for(names_it, f"`emprops status` to name {name}", within=within, every=PROBE_SECONDS)

    def until_in_order(self, within: float) -> Status:
        """Waits until `emprops status` finds no problem; fails with its output after `within` seconds."""

        def is_in_order() -> Status:
            status = self.status()
            if status.code != 0:
                raise NotYet(status.code, status.words)
            return status

        return wait_for(is_in_order, "`emprops status` to find nothing wrong", within=within, every=PROBE_SECONDS)


@contextlib.contextmanager
def running_set(data: Path, replicas: int = 1, **altered: Any) -> Iterator[RunningSet]:
    """A ready set for the length of a `with` block; `altered`: `routes` and `environment` of `RunningSet`."""
    running = RunningSet(data, replicas, **altered)
    try:
        running.up()
        yield running
    finally:
        running.close()
