"""Cross-origin requests (https://fetch.spec.whatwg.org/#http-cors-protocol): what needs no token, any page may read."""

from litestar.types import HTTPScope, Send

from services.edge.headers import Headers
from services.edge.routing import RoutingTable

ANY_ORIGIN: Headers = [
    (b"access-control-allow-origin", b"*"),
    (
        b"access-control-expose-headers",
        b"content-length, content-range, etag, retry-after, x-correlation-id, x-ipfs-path, x-ipfs-roots",
    ),
]
"""Headers of the responses that a page of any origin may read."""
_ALLOWED: Headers = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, HEAD, OPTIONS"),
    (
        b"access-control-allow-headers",
        b"accept, cache-control, content-type, if-match, if-none-match, if-range, range, user-agent, x-requested-with",
    ),
    (b"access-control-max-age", b"86400"),
]


def may_preflight(scope: HTTPScope, table: RoutingTable, path: str) -> bool:
    """Whether a browser asks for the permission to send a request that needs no token."""
    method = next((value for name, value in scope["headers"] if name == b"access-control-request-method"), b"")
    rule = table.match(method.decode("latin-1"), path) if scope["method"] == "OPTIONS" and method else None
    return rule is not None and rule.roles is None


async def send_permission(send: Send) -> None:
    """Sends the response to such a preflight request."""
    await send({"type": "http.response.start", "status": 204, "headers": _ALLOWED})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
