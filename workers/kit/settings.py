"""Settings of every worker, from the environment: `NATS_URL` fills `nats_url`. A worker may add fields of its own."""

from typing import Annotated

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0)]


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Only NATS_URL is required. Durations are in seconds."""

    nats_url: str
    """`nats://user:password@host:port`, comma-separated if there are several."""
    worker_services: str | None = None
    """Which of its services the worker takes, comma-separated; all if not set."""
    worker_concurrency: Annotated[int, msgspec.Meta(ge=1, le=256)] = 2
    """Steps that run at the same time."""
    worker_ack_wait: Seconds = 10.0
    """After so long without a heartbeat, a step goes to another worker. There are three heartbeats in that time."""
    worker_grace: Annotated[float, msgspec.Meta(ge=0)] = 5.0
    """How long running steps may go on when the worker is stopped; then they are handed back."""
    worker_patience: Annotated[float, msgspec.Meta(ge=0)] = 30.0
    """How long a transfer, or a call in `Step.retry`, is retried within an attempt."""
    public_url: str = "http://127.0.0.1:8000"
    """Where clients reach the edge: the beginning of links to files. The files are read from storage itself."""
    api_urls: str = ""
    """Edges that serve the API, comma-separated, if they have no load balancer: files that a grant
    sends to an edge that does not answer go to the next one."""
    input_hosts: str = ""
    """Other hosts (`host` or `host:port`, comma-separated) that files may be read from, without a token."""
    input_max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024 * 1024
    """The largest file that is downloaded."""
    http_host: str = "127.0.0.1"
    """The address that /health and /metrics are served at."""
    http_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """Of /health/live, /health/ready and /metrics; 0 takes a free one, and logs it."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
    service_instance: str = ""
    """Tells processes of a worker apart in logs and announcements; made from host and process id if not set."""

    def chosen(self, services: list[str]) -> list[str]:
        """The services to take, of those that the worker offers. Raises ValueError for one that it does not offer."""
        if self.worker_services is None:
            return services
        names = [name.strip() for name in self.worker_services.split(",") if name.strip()]
        unknown = sorted(set(names) - set(services))
        if unknown or not names:
            raise ValueError(f"WORKER_SERVICES may name {', '.join(services)}, not {', '.join(unknown) or 'nothing'}")
        return list(dict.fromkeys(names))
