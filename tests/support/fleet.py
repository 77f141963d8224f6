"""The services of one release on servers that already run: what `emprops up` starts, without its servers."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.embedded.keys import AUDIENCE, DEVELOPMENT_ISSUER
from tests.support.patience import PATIENCE, NotYet, eventually
from tests.support.servers import Bucket
from tests.support.serving import free_port

STORES = ("collections", "generation", "credits", "storage")
LOOPBACK = "127.0.0.1"
START_SECONDS = 3 * PATIENCE
"""For six processes that start while six others are under load."""


@dataclass(frozen=True)
class Ground:
    """What all fleets share. `databases`: by service. The URLs stay the same while releases are exchanged."""

    databases: Mapping[str, str]
    nats_url: str
    bucket: Bucket
    jwks: Path
    grant_key: Path
    public_url: str
    storage_url: str


@dataclass
class Fleet:
    """One process per service, and a worker, of the release whose files are in `code`."""

    name: str
    code: Path
    ground: Ground
    logs: Path
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in (*STORES, "edge", "worker")})
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return self._url("edge")

    def _url(self, service: str) -> str:
        return f"http://{LOOPBACK}:{self.ports[service]}"

    def start(self) -> None:
        for service in (*STORES, "edge"):
            self._start(service, f"services.{service}", "serve")
        if (self.code / "workers").exists():
            self._start("worker", "workers.studio")
        else:  # a release of before workers had a folder of their own
            self._start("worker", "services.generation", "worker")

    async def until_ready(self) -> None:
        """Waits until every process is ready, as an operator does before sending traffic."""
        await eventually(self._are_ready, f"{self.name} to be ready", within=START_SECONDS, every=0.2)

    async def _are_ready(self) -> bool:
        for service, process in self.processes.items():
            if (answer := await asyncio.to_thread(self._readiness, service)) != "ready":
                assert process.poll() is None, f"{self.name} {service} ended with {process.returncode}"
                raise NotYet(service, answer)
        return True

    def stop(self) -> None:
        """SIGTERM, as at the end of a rollout; killed only when a test fails."""
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()
        self.processes.clear()

    def entries(self, *, level: str = "") -> list[dict[str, Any]]:
        """The entries of all its logs, of one level or all."""
        lines = []
        for path in sorted(self.logs.glob(f"{self.name}-*.log")):
            for line in path.read_text(errors="replace").splitlines():
                with contextlib.suppress(json.JSONDecodeError):
                    entry = json.loads(line)
                    if not level or entry.get("level") == level:
                        lines.append({"process": path.stem, **entry})
        return lines

    def run(self, program: str, **environment: str) -> str:
        """The output of a Python program that runs with this release's code."""
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=self.code,
            env={**os.environ, "PYTHONPATH": str(self.code), **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def _readiness(self, service: str) -> str:
        try:
            with urllib.request.urlopen(f"{self._url(service)}/health/ready", timeout=5) as response:
                return "ready" if response.status == 200 else str(response.status)
        except urllib.error.HTTPError as error:
            return error.read().decode(errors="replace")
        except OSError as error:
            return str(error)

    def _start(self, service: str, module: str, *verb: str) -> None:
        log = (self.logs / f"{self.name}-{service}.log").open("ab")
        with log:
            self.processes[service] = subprocess.Popen(
                [sys.executable, "-m", module, *verb],
                cwd=self.code,
                env={**os.environ, "PYTHONPATH": str(self.code), "PYTHONUNBUFFERED": "1", **self._environment(service)},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _environment(self, service: str) -> dict[str, str]:
        ground = self.ground
        settings = {
            "HTTP_HOST": LOOPBACK,
            "HTTP_PORT": str(self.ports[service]),
            "NATS_URL": ground.nats_url,
            "PUBLIC_URL": ground.public_url,
            "AUTH_JWKS_URL": f"{self.url}/.well-known/jwks.json",
            "AUTH_ISSUER": DEVELOPMENT_ISSUER,
            "AUTH_AUDIENCE": AUDIENCE,
            "SERVICE_INSTANCE": f"{self.name}-{service}",
            "GRANTS_JWKS_URL": f"{self._url('generation')}/.well-known/jwks.json",
        }
        if service in ground.databases:
            settings["DATABASE_URL"] = ground.databases[service]
        if service == "edge":
            settings["JWKS_FILE"] = str(ground.jwks)
            settings |= {f"{name.upper()}_URL": self._url(name) for name in STORES}
        if service == "generation":
            settings |= {"GRANT_KEY_FILE": str(ground.grant_key), "STORAGE_URL": ground.storage_url}
        if service == "storage":
            settings |= ground.bucket.settings()
        return settings


@contextlib.contextmanager
def stopped_at_the_end(*fleets: Fleet) -> Iterator[None]:
    try:
        yield
    finally:
        for fleet in fleets:
            fleet.stop()
