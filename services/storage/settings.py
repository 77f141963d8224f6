"""Settings of the storage service, read from its environment."""

from typing import Annotated

import msgspec

from shared.contracts import grants
from shared.runtime import ServiceSettings


class StorageSettings(ServiceSettings, frozen=True, kw_only=True):
    s3_endpoint: str
    """The S3 store: `http://host:port` or `https://host`."""
    s3_access_key: str
    """The access key of a user who may read and write the bucket."""
    s3_secret_key: str
    """The secret key of that user."""
    s3_bucket: str = "emprops"
    """The bucket of all files; it is created if it does not exist."""
    grants_jwks_url: str
    """JWKS URL of the generation service, whose keys verify upload grants."""
    grants_issuer: str = grants.ISSUER
    """The `iss` of upload grants."""
    cdn_url: str = ""
    """Base of the files' public URLs; when empty, clients read them from this service, through the edge."""
    upload_max_bytes: int = 5 * 1024**3
    """Bytes of the largest file that can be uploaded."""
    uploads_at_once: int = 16
    """Concurrent uploads per process, each with two parts of 8 MiB in memory at most."""
    upload_idle_seconds: float = 60.0
    """Seconds to wait for the next bytes of an upload."""
    fetch_max_bytes: Annotated[int, msgspec.Meta(ge=1)] = 64 * 1024**2
    """Bytes of the largest image that is fetched from the web for a user."""
    fetch_seconds: Annotated[float, msgspec.Meta(gt=0, le=14)] = 10.0
    """Seconds within which it must be fetched; the edge waits 15 for an answer, and 12 for all images of a template."""
    fetch_private_hosts: str = ""
    """Hosts, addresses and networks (CIDR), comma-separated: images are fetched from there though it is not public."""
    package_max_bytes: int = 64 * 1024**3
    """Bytes of the largest publish package; S3 stores take 10,000 parts of 8 MiB, which is 78 GiB."""
    packages_at_once: int = 4
    """Publish packages that are built at the same time, by one replica: one of a user. One of them is kept for packages
    below 256 MiB."""
