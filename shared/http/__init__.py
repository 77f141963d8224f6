"""What every service's HTTP has in common: tokens, the error body, envelopes, ETags, correlation, health, metrics."""

from litestar.params import FromPath, FromQuery, JSONBody

from shared.http.app import CommandContext, ExpectedVersion, User, create_app
from shared.http.auth import Authenticator, Issuer, Principal, require_role
from shared.http.envelope import Cursor, Envelope, Limit, Page, decode_cursor, encode_cursor
from shared.http.etag import etag, expected_version, is_unmodified, versioned
from shared.http.health import NotReady
from shared.http.logging import configure_logging, get_logger
from shared.http.request import ApiRequest

__all__ = [
    "ApiRequest",
    "Authenticator",
    "CommandContext",
    "Cursor",
    "Envelope",
    "ExpectedVersion",
    "FromPath",
    "FromQuery",
    "Issuer",
    "JSONBody",
    "Limit",
    "NotReady",
    "Page",
    "Principal",
    "User",
    "configure_logging",
    "create_app",
    "decode_cursor",
    "encode_cursor",
    "etag",
    "expected_version",
    "get_logger",
    "is_unmodified",
    "require_role",
    "versioned",
]
