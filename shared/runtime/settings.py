"""Typed settings from the environment: `DATABASE_URL` fills `database_url`."""

import os
from collections.abc import Mapping
from typing import TypeVar

import msgspec

T = TypeVar("T", bound=msgspec.Struct)


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The settings of every service with a store; a service adds its own fields in its `settings.py`."""

    database_url: str
    """The service's own database: `postgresql://user:password@host:port/database`."""
    nats_url: str
    """`nats://user:password@host:port`, comma-separated if there are several servers."""
    http_host: str = "127.0.0.1"
    """The address that the HTTP server listens on."""
    http_port: int = 8000
    """The port that the HTTP server listens on."""
    public_url: str = "http://127.0.0.1:8000"
    """The edge's address for clients: the beginning of all URLs in responses."""
    auth_jwks_url: str
    """JWKS URL of the issuer of users' tokens."""
    auth_issuer: str = "emprops"
    """The `iss` that tokens must have."""
    auth_audience: str = "emprops"
    """The `aud` that tokens must have."""
    nats_stream_replicas: int | None = None
    """Replicas of this service's stream of events in a NATS cluster. If not set, the stream is left as it is."""
    nats_stream_max_age: float | None = None
    """Seconds for which NATS keeps an event; 0: without a bound. If not set, the stream is left as it is."""
    nats_stream_max_bytes: int | None = None
    """Bytes that the stream may have; -1: no bound. If not set, the stream is left as it is."""
    log_level: str = "info"
    """`debug`, `info`, `warning` or `error`."""
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
        raise SettingsError(
            f"set {', '.join(missing)} in the environment: {'it has' if len(missing) == 1 else 'they have'} no default"
        )
    values = {field.name: environ[field.name.upper()] for field in fields if field.name.upper() in environ}
    try:
        return msgspec.convert(values, settings, strict=False)
    except msgspec.ValidationError as error:
        raise SettingsError(f"a setting in the environment has the wrong form: {error}") from error
