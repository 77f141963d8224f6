"""Headers on their way through: hop-by-hop ones stay behind (RFC 9110, section 7.6.1), ours are set."""

from collections.abc import Iterable
from typing import cast

from litestar.types import HTTPScope

from shared.contracts.problem import Detail, invalid
from shared.http.context import RequestTrace

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    }
)
_SET_HERE = frozenset(
    {
        b"host",
        b"expect",
        b"x-correlation-id",
        b"traceparent",
        b"forwarded",
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-forwarded-host",
    }
)
_NOT_SENT_ON = HOP_BY_HOP | _SET_HERE
BEGINS_BEHIND = "Emprops-Stream-After"
"""The service's answer to who follows: the id behind which the stream begins. Streams without it are not shared."""
_NOT_ANSWERED = HOP_BY_HOP | {b"date", b"server", b"x-correlation-id", BEGINS_BEHIND.lower().encode()}

Headers = list[tuple[bytes, bytes]]


def _named_in_connection(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The headers that a Connection header declares to be of this hop only."""
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            named.update(token.strip().lower() for token in value.split(b","))
    return frozenset(named)


def request_headers(scope: HTTPScope, trace: RequestTrace) -> list[tuple[str, str]]:
    """What the service gets. Forwarding headers that the client sent itself are not believed and replaced.

    Raises VALIDATION_FAILED for a value that can't be passed on byte by byte.
    """
    given = cast("Headers", list(scope["headers"]))
    dropped = _NOT_SENT_ON | _named_in_connection(given)
    headers: list[tuple[str, str]] = []
    for name, value in given:
        if name not in dropped:
            headers.append((name.decode("ascii"), _text(name, value)))
        elif name == b"host":
            headers.append(("x-forwarded-host", _text(name, value)))
    if client := scope.get("client"):
        headers.append(("x-forwarded-for", client[0]))
    headers.append(("x-forwarded-proto", scope["scheme"]))
    headers.append(("x-correlation-id", str(trace.correlation_id)))
    headers.append(("traceparent", trace.traceparent))
    return headers


def _text(name: bytes, value: bytes) -> str:
    """What aiohttp writes as the same bytes: it encodes header values as UTF-8, and takes no bytes."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        title = "-".join(word.capitalize() for word in name.decode("ascii").split("-"))
        message = "is not UTF-8"
        raise invalid(f"{title} {message}", Detail(f"header:{title}", message)) from error


def response_headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[Headers, int | None]:
    """What the client gets, and the Content-Length among it."""
    lowered = [(name.lower(), value) for name, value in raw]
    dropped = _NOT_ANSWERED | _named_in_connection(lowered)
    kept = [(name, value) for name, value in lowered if name not in dropped]
    length = next((int(value) for name, value in kept if name == b"content-length"), None)
    return kept, length
