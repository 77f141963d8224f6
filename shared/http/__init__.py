"""HTTP for all services: tokens, error bodies, envelopes, pages, ETags, idempotency keys, positions and readiness."""

from typing import TYPE_CHECKING

from shared.lazy_imports import lazily

if TYPE_CHECKING:
    from litestar.params import FromPath, FromQuery, JSONBody

    from shared.http.app import CommandContext, CommandPrecondition, User, create_app
    from shared.http.auth import Authenticator, Issuer, Principal, require_role
    from shared.http.envelope import (
        LAST_NUMBER,
        Cursor,
        Envelope,
        Limit,
        Page,
        cursor_number,
        decode_cursor,
        encode_cursor,
        next_cursor,
    )
    from shared.http.etag import Precondition, versioned
    from shared.http.health import NotReady
    from shared.http.request import ApiRequest

__all__ = [
    "LAST_NUMBER",
    "ApiRequest",
    "Authenticator",
    "CommandContext",
    "CommandPrecondition",
    "Cursor",
    "Envelope",
    "FromPath",
    "FromQuery",
    "Issuer",
    "JSONBody",
    "Limit",
    "NotReady",
    "Page",
    "Precondition",
    "Principal",
    "User",
    "create_app",
    "cursor_number",
    "decode_cursor",
    "encode_cursor",
    "next_cursor",
    "require_role",
    "versioned",
]

__getattr__ = lazily(
    __name__,
    {
        "shared.http.app": ("CommandContext", "CommandPrecondition", "User", "create_app"),
        "shared.http.auth": ("Authenticator", "Issuer", "Principal", "require_role"),
        "shared.http.envelope": (
            "LAST_NUMBER",
            "Cursor",
            "Envelope",
            "Limit",
            "Page",
            "cursor_number",
            "decode_cursor",
            "encode_cursor",
            "next_cursor",
        ),
        "shared.http.etag": ("Precondition", "versioned"),
        "shared.http.health": ("NotReady",),
        "shared.http.request": ("ApiRequest",),
        "litestar.params": ("FromPath", "FromQuery", "JSONBody"),
    },
)
