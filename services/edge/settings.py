"""The edge's settings, from the environment."""

import msgspec

from services.edge.limits import Limits
from services.edge.replicas import Replicas
from services.edge.routing import Upstream


class EdgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Each service's URL may be a comma-separated list of replicas. Users' keys: JWKS_FILE, else AUTH_JWKS_URL."""

    collections_url: str
    generation_url: str
    credits_url: str
    storage_url: str
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    jwks_file: str = ""
    """Served at /.well-known/jwks.json, and used to verify tokens; empty if another host issues them."""
    auth_jwks_url: str = ""
    auth_issuer: str = "emprops"
    auth_audience: str = "emprops"
    grants_jwks_url: str = ""
    """Where the generation service publishes the keys of its upload grants; empty: no grants are accepted."""
    max_body_bytes: int = 1024 * 1024
    max_upload_bytes: int = 5 * 1024**3
    idle_timeout: float = 60.0
    """Seconds of silence after which a body or a response is given up."""
    restart_window: float = 3.0
    """Seconds for which refused connections are retried, so that a service's restart goes unnoticed."""
    turn_after: float = 1.5
    """Seconds of a replica's silence after which the request is also sent to another one, if that is safe."""
    read_timeout: float = 5.0
    command_timeout: float = 15.0
    """Seconds within which a response begins, else 503. Its text states whether a command may have been done."""
    log_level: str = "info"
    service_instance: str = ""

    def replicas(self) -> dict[Upstream, Replicas]:
        """The addresses of every service."""
        urls = {
            Upstream.COLLECTIONS: self.collections_url,
            Upstream.GENERATION: self.generation_url,
            Upstream.CREDITS: self.credits_url,
            Upstream.STORAGE: self.storage_url,
        }
        return {
            upstream: Replicas(upstream.value, [url.strip() for url in listed.split(",") if url.strip()])
            for upstream, listed in urls.items()
        }

    def limits(self) -> Limits:
        return Limits(
            body=self.max_body_bytes,
            upload=self.max_upload_bytes,
            idle=self.idle_timeout,
            restart=self.restart_window,
            hedge=self.turn_after,
            read=self.read_timeout,
            command=self.command_timeout,
        )
