"""The edge's bounds on sizes and times."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Bounds in bytes and seconds."""

    body: int = 1024 * 1024
    upload: int = 5 * 1024**3
    connect: float = 2.0
    idle: float = 60.0
    """Longest silence of a service, before its response and within it. Open SSE streams send a comment every 15 s."""
    restart: float = 3.0
    """How long refused connections are retried."""
    hedge: float = 1.5
    """How long one replica may be silent before the request is also sent to another, if that is safe."""
    read: float = 5.0
    """How long a read waits for its response to begin."""
    command: float = 15.0
    """How long a command waits for its response to begin, after its body is sent."""
