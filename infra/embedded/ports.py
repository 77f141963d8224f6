"""Free loopback ports, below the kernel's ephemeral range.

With a port in that range, a client that keeps reconnecting to a server that is down may get the server's port as its
own source port. It then connects to itself, and the server can't bind its port again.
"""

import random
import socket
from pathlib import Path

from infra.embedded.errors import SetError

LOOPBACK = "127.0.0.1"
LOWEST = 20_000
EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
"""Linux only. Elsewhere 32,768 is assumed, below the range that RFC 6335 names (49152 and up)."""
ATTEMPTS = 1_000


class NoFreePortError(SetError):
    """No port could be bound on loopback."""


def highest() -> int:
    """The last port below the ephemeral range, or 65,535 if that range leaves fewer than ATTEMPTS ports."""
    try:
        first_ephemeral = int(EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        first_ephemeral = 32_768
    return first_ephemeral - 1 if first_ephemeral > LOWEST + ATTEMPTS else 65_535


def is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As servers do: a port whose old connections are in TIME_WAIT counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


class PortPicker:
    """Picks ports, each once, and prefers those of the previous run, so that addresses stay the same."""

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
        raise NoFreePortError(f"No free port between {LOWEST} and {top} on {LOOPBACK}. To see what listens: ss -ltnp")

    def take(self, name: str, port: int) -> bool:
        """Reserves this port for `name`; False if it is picked or in use."""
        if port in self.picked.values() or not is_free(port):
            return False
        self.picked[name] = port
        return True
