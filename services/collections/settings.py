"""The settings of the collections service, beside those of every service."""

from shared.runtime import ServiceSettings


class CollectionsSettings(ServiceSettings, frozen=True, kw_only=True):
    require_if_match: bool = False
    """Whether an edit without If-Match is refused (428), so no client overwrites a version that it has not read."""
    package_max_bytes: int = 64 * 1024**3
    """Bytes of the files of the largest publish package that may be requested; as PACKAGE_MAX_BYTES of storage."""
