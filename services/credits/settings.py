"""The credits service has only the settings that every service has."""

from shared.runtime import ServiceSettings


class CreditsSettings(ServiceSettings, frozen=True, kw_only=True):
    """See `shared.runtime.ServiceSettings`."""
