"""What the edge is told by its environment."""

import msgspec

from services.edge.proxy import Limits
from services.edge.replicas import Replicas
from services.edge.routing import Upstream


class EdgeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Each service URL may be a comma-separated list of replicas. Users' keys come from JWKS_FILE or AUTH_JWKS_URL."""

    collections_url: str
    generation_url: str
    credits_url: str
    storage_url: str
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    jwks_file: str = ""
    """Served at /.well-known/jwks.json, and what tokens are verified with; empty for an issuer elsewhere."""
    auth_jwks_url: str = ""
    auth_issuer: str = "emprops"
    auth_audience: str = "emprops"
    grants_jwks_url: str = ""
    """Where the generation service publishes the keys of its upload grants."""
    max_body_bytes: int = 1024 * 1024
    max_upload_bytes: int = 5 * 1024**3
    idle_timeout: float = 60.0
    """Seconds that a service may be silent."""
    restart_window: float = 3.0
    """Seconds for which a refused connection is tried again, so that a service's restart is not noticed."""
    turn_after: float = 1.5
    """Seconds of a replica's silence after which another one is asked too, where that can't do anything twice."""
    read_timeout: float = 5.0
    command_timeout: float = 15.0
    """Seconds within which an answer begins; 503 says whether a command may have been done."""
    log_level: str = "info"
    service_instance: str = ""

    def replicas(self) -> dict[Upstream, Replicas]:
        """The addresses of every service."""
        given = {
            Upstream.COLLECTIONS: self.collections_url,
            Upstream.GENERATION: self.generation_url,
            Upstream.CREDITS: self.credits_url,
            Upstream.STORAGE: self.storage_url,
        }
        return {
            name: Replicas(name.value, [url.strip() for url in urls.split(",") if url.strip()])
            for name, urls in given.items()
        }

    def limits(self) -> Limits:
        return Limits(
            body=self.max_body_bytes,
            upload=self.max_upload_bytes,
            idle=self.idle_timeout,
            restart=self.restart_window,
            turn=self.turn_after,
            read=self.read_timeout,
            command=self.command_timeout,
        )
