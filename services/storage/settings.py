"""Settings of the storage service, read from its environment."""

from shared.contracts import grants
from shared.runtime import ServiceSettings


class StorageSettings(ServiceSettings, frozen=True, kw_only=True):
    s3_endpoint: str
    """http://host:port or https://host"""
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str = "emprops"
    grants_jwks_url: str
    """JWKS URL of the generation service, whose keys verify upload grants."""
    grants_issuer: str = grants.ISSUER
    cdn_url: str = ""
    """Base of the files' public URLs; when empty, clients read them from this service, through the edge."""
    upload_max_bytes: int = 5 * 1024**3
    uploads_at_once: int = 16
    """Concurrent uploads per process, each with two parts of 8 MiB in memory at most."""
    upload_idle_seconds: float = 60.0
    """Longest wait for the next bytes of an upload."""
    package_max_bytes: int = 64 * 1024**3
    """Largest publish package."""
