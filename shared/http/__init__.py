"""What every service's HTTP has in common: tokens, the error body, envelopes, ETags, correlation, health, metrics."""

from litestar.params import FromPath, FromQuery, JSONBody

from shared.http.app import CommandContext, GivenPrecondition, User, create_app
from shared.http.auth import Authenticator, Issuer, Principal, require_role
from shared.http.envelope import Cursor, Envelope, Limit, Page, decode_cursor, encode_cursor
from shared.http.etag import Precondition, etag, versioned
from shared.http.health import NotReady
from shared.http.logging import configure_logging, get_logger
from shared.http.request import ApiRequest

__all__ = [
    "ApiRequest",
    "Authenticator",
    "CommandContext",
    "Cursor",
    "Envelope",
    "FromPath",
    "FromQuery",
    "GivenPrecondition",
    "Issuer",
    "JSONBody",
    "Limit",
    "NotReady",
    "Page",
    "Precondition",
    "Principal",
    "User",
    "configure_logging",
    "create_app",
    "decode_cursor",
    "encode_cursor",
    "etag",
    "get_logger",
    "require_role",
    "versioned",
]
