"""What every service with a store runs on: its settings, its definition, its loops and its HTTP server."""

from typing import TYPE_CHECKING

from shared.lazy_imports import lazily

if TYPE_CHECKING:
    from shared.runtime.serve import Running, main, run_service, running
    from shared.runtime.service import Build, Parts, Runtime, ServiceDefinition, opened
    from shared.runtime.settings import ServiceSettings, SettingsError, from_environment

__all__ = [
    "Build",
    "Parts",
    "Running",
    "Runtime",
    "ServiceDefinition",
    "ServiceSettings",
    "SettingsError",
    "from_environment",
    "main",
    "opened",
    "run_service",
    "running",
]

__getattr__ = lazily(
    __name__,
    {
        "shared.runtime.serve": ("Running", "main", "run_service", "running"),
        "shared.runtime.service": ("Build", "Parts", "Runtime", "ServiceDefinition", "opened"),
        "shared.runtime.settings": ("ServiceSettings", "SettingsError", "from_environment"),
    },
)
