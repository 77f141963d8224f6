"""The frame that every service with a store runs in."""

from shared.runtime.serve import Running, main, run_service, running, serve
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
    "serve",
]
