"""Free loopback ports.

A port out of the kernel's ephemeral range would do until its server dies: a client that keeps trying to reconnect to
such a port can be given the very same number as its source, connects to itself, and the server can't come back. So
ports are taken from below that range.
"""

import random
import socket
from pathlib import Path

from infra.embedded.errors import SetError

LOOPBACK = "127.0.0.1"
LOWEST = 20_000
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Linux only; elsewhere (49152 and up by RFC 6335) the same bound is far below."""
ATTEMPTS = 1_000


class NoFreePortError(SetError):
    """No port could be bound on loopback."""


def highest() -> int:
    """The last port below the ephemeral range, or the last of all where that range leaves no room."""
    try:
        first_ephemeral = int(EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first_ephemeral = 32_768
    return first_ephemeral - 1 if first_ephemeral > LOWEST + ATTEMPTS else 65_535


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do it: a port whose old connections are in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


class PortPicker:
    """Hands out ports, each once, and prefers those that were used last time so that addresses stay the same."""

    def __init__(self, previous: dict[str, int] | None = None) -> None:
        self._previous = previous or {}
        self.picked: dict[str, int] = {}

    def pick(self, name: str) -> int:
        """A port for `name`: the one it had before if that is still free, else any. Raises `NoFreePortError`."""
        remembered = self._previous.get(name)
        if remembered is not None and self.take(name, remembered):
            return remembered
        top = highest()
        for _ in range(ATTEMPTS):
            port = random.randint(LOWEST, top)  # noqa: S311 - spreads sets over the range, keeps no secret
            if port not in self._previous.values() and self.take(name, port):
                return port
        raise NoFreePortError(f"No free port between {LOWEST} and {top} on {LOOPBACK}: what listens there? (ss -ltn)")

    def take(self, name: str, port: int) -> bool:
        """Whether this very port could be had for `name`."""
        if port in self.picked.values() or not is_free(port):
            return False
        self.picked[name] = port
        return True
