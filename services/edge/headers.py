"""Headers that are passed on: all but hop-by-hop ones (RFC 9110, section 7.6.1), and those that the edge sets."""

from collections.abc import Iterable
from typing import cast

from litestar.types import HTTPScope

from shared.contracts.problem import invalid_header
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
_SET_BY_EDGE = frozenset(
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
_DROPPED_FROM_REQUESTS = HOP_BY_HOP | _SET_BY_EDGE
STREAM_AFTER = "Emprops-Stream-After"
"""A response header of services: the id after which a stream of events starts. Streams without it are not shared."""
_DROPPED_FROM_RESPONSES = HOP_BY_HOP | {b"date", b"server", b"x-correlation-id", STREAM_AFTER.lower().encode()}

Headers = list[tuple[bytes, bytes]]


def _declared_hop_by_hop(headers: Iterable[tuple[bytes, bytes]]) -> frozenset[bytes]:
    """The headers that a Connection header declares to be hop-by-hop."""
    return frozenset(
        token.strip().lower() for name, value in headers if name == b"connection" for token in value.split(b",")
    )


def request_headers(scope: HTTPScope, trace: RequestTrace) -> list[tuple[str, str]]:
    """The headers that the service gets. The client's own forwarding headers are replaced, since they may be forged.

    Raises VALIDATION_FAILED for a value that is not UTF-8.
    """
    received = cast("Headers", list(scope["headers"]))
    dropped = _DROPPED_FROM_REQUESTS | _declared_hop_by_hop(received)
    headers: list[tuple[str, str]] = []
    for name, value in received:
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
    """The value as a text that aiohttp writes as the same bytes: it takes no bytes, and encodes texts as UTF-8."""
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise invalid_header(name.decode("ascii").title(), "is not UTF-8") from error


def response_headers(raw: Iterable[tuple[bytes, bytes]]) -> tuple[Headers, int | None]:
    """The headers that the client gets, and the Content-Length among them."""
    lowered = [(name.lower(), value) for name, value in raw]
    dropped = _DROPPED_FROM_RESPONSES | _declared_hop_by_hop(lowered)
    passed_on = [(name, value) for name, value in lowered if name not in dropped]
    length = next((int(value) for name, value in passed_on if name == b"content-length"), None)
    return passed_on, length
