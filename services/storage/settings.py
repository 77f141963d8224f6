"""What the storage service is told by its environment."""

from shared.runtime import ServiceSettings


class StorageSettings(ServiceSettings, frozen=True, kw_only=True):
    s3_endpoint: str
    """http://host:port or https://host"""
    s3_access_key: str
    s3_secret_key: str
    s3_bucket: str = "emprops"
    grants_jwks_url: str
    """Where generation publishes the keys of its upload grants."""
    grants_issuer: str = "emprops-generation"
    cdn_url: str = ""
    """Base of the files' public URLs; without one they are read from this service, through the edge."""
    upload_max_bytes: int = 5 * 1024**3
    uploads_at_once: int = 16
    """Files that one process takes in at the same time, each with two parts of 8 MiB in memory at most."""
    upload_idle_seconds: float = 60.0
    """How long a client may be silent in the middle of a file."""
    package_max_bytes: int = 64 * 1024**3
    """Of a publish package, which holds the artworks of a whole collection."""
