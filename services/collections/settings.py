"""What the collections service is told beside what every service is."""

from shared.runtime import ServiceSettings


class CollectionsSettings(ServiceSettings, frozen=True, kw_only=True):
    require_if_match: bool = False
    """Whether an edit without If-Match is refused (428), so that nobody overwrites what he has not seen."""
