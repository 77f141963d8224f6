"""What a worker process is told by its environment."""

from typing import Annotated

import msgspec

from workers.studio.renderers import RENDERERS

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    nats_url: str
    worker_services: str = ",".join(RENDERERS)
    """Which work it takes, with commas between: any of sketch, frame and caption."""
    worker_concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    """Steps that run at the same time, each in a process of its own."""
    worker_ack_wait: Seconds = 10.0
    """Without a sign of life for so long, a step goes to another worker; a sign is sent three times as often."""
    worker_grace: Annotated[float, msgspec.Meta(ge=0)] = 5.0
    """How long running steps may go on when the worker is told to stop; then they are handed back."""
    worker_patience: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    """How long one transfer is tried again within an attempt, while its other side is away or silent."""
    render_seconds: Seconds = 120.0
    """After this long a rendering process is killed."""
    public_url: str = "http://127.0.0.1:8000"
    """Where links to files point: the edge. Files behind them are read from the storage service itself."""
    api_urls: str = ""
    """Edges that serve the API, with commas between, where no load balancer stands before them: files that a grant
    sends to one of them go to the next when it does not answer."""
    input_hosts: str = ""
    """Other hosts (`host` or `host:port`, with commas between) that pictures may be read from, without a token."""
    input_max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024 * 1024
    http_host: str = "127.0.0.1"
    http_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """Of /health/live, /health/ready and /metrics; 0 takes a free one, and logs it."""
    log_level: str = "info"
    service_instance: str = "worker"

    @property
    def services(self) -> list[str]:
        """Raises ValueError for a service that has no renderer."""
        names = [name.strip() for name in self.worker_services.split(",") if name.strip()]
        unknown = sorted(set(names) - RENDERERS.keys())
        if unknown or not names:
            raise ValueError(f"WORKER_SERVICES may name {', '.join(RENDERERS)}, not {', '.join(unknown) or 'nothing'}")
        return list(dict.fromkeys(names))
