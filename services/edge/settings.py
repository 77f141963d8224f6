"""The edge's settings, from the environment."""

import msgspec

from services.edge.forwarding.limits import Limits
from services.edge.forwarding.replicas import Replicas
from services.edge.routing import Upstream


class EdgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that verify users' tokens come from JWKS_FILE, else from AUTH_JWKS_URL."""

    collections_url: str
    """Replicas of the collections service, comma-separated."""
    generation_url: str
    """Replicas of the generation service."""
    credits_url: str
    """Replicas of the credits service."""
    storage_url: str
    """Replicas of the storage service."""
    http_host: str = "127.0.0.1"
    """The address that the edge listens on."""
    http_port: int = 8000
    """The port that the edge listens on."""
    jwks_file: str = ""
    """Served at /.well-known/jwks.json, and used to verify tokens; empty if another host issues them."""
    auth_jwks_url: str = ""
    """JWKS URL of the issuer of users' tokens, if JWKS_FILE is empty."""
    auth_issuer: str = "emprops"
    """The `iss` that tokens must have."""
    auth_audience: str = "emprops"
    """The `aud` that tokens must have."""
    grants_jwks_url: str = ""
    """Where the generation service publishes the keys of its upload grants; empty: no grants are accepted."""
    max_body_bytes: int = 1024 * 1024
    """Bytes of the largest body of a request; uploads and tables of variables have other limits."""
    max_upload_bytes: int = 5 * 1024**3
    """Bytes of the largest file that can be uploaded."""
    idle_timeout: float = 60.0
    """Seconds of silence after which a body or a response is given up."""
    restart_window: float = 3.0
    """Seconds for which refused connections are retried, so that a service's restart goes unnoticed."""
    turn_after: float = 1.5
    """Seconds of a replica's silence after which the request is also sent to another one, if that is safe."""
    read_timeout: float = 5.0
    """Seconds within which the response to a read begins, else 503."""
    command_timeout: float = 15.0
    """Seconds within which the response to a command begins, else 503, which says whether it may have been done."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
    service_instance: str = ""
    """Tells replicas of the edge apart in logs and metrics."""

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
