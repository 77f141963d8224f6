"""What the credits service is told by its environment: only what every service is."""

from shared.runtime import ServiceSettings


class CreditsSettings(ServiceSettings, frozen=True, kw_only=True):
    """See `shared.runtime.ServiceSettings`."""
