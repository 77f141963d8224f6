"""Typed settings from the environment: `DATABASE_URL` fills `database_url`."""

import os
from collections.abc import Mapping
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service with a store of its own is told; a service adds its own fields in its `settings.py`."""

    database_url: str
    nats_url: str
    http_host: str = "127.0.0.1"
    http_port: int = 8000
    public_url: str = "http://127.0.0.1:8000"
    """Where clients reach the edge: the beginning of every link that is handed out."""
    auth_jwks_url: str
    auth_issuer: str = "emprops"
    auth_audience: str = "emprops"
    nats_stream_replicas: int | None = None
    """Of this service's stream of events. What is not set here is left as the stream has it."""
    nats_stream_max_age: float | None = None
    """Seconds; 0 keeps events for ever."""
    nats_stream_max_bytes: int | None = None
    """-1 for no bound."""
    log_level: str = "info"
    service_instance: str = ""
    """Tells replicas apart in logs, leases and metrics."""


class SettingsError(Exception):
    """The environment lacks a variable, or has one of the wrong form."""


def from_environment(settings: type[T], environ: Mapping[str, str] | None = None) -> T:
    """Reads each field from the variable of its name in capitals. Raises SettingsError, which names the variable."""
    environ = os.environ if environ is None else environ
    fields = msgspec.structs.fields(settings)
    missing = [field.name.upper() for field in fields if field.required and field.name.upper() not in environ]
    if missing:
        raise SettingsError(f"set {', '.join(missing)} in the environment")
    given = {field.name: environ[field.name.upper()] for field in fields if field.name.upper() in environ}
    try:
        return msgspec.convert(given, settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"the environment is wrong: {error}") from error
