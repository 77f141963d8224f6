"""What remote pinning services have made of the published packages, as their owner or an operator reports it."""

from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from services.collections.domain.package.state import Package
from shared.contracts.collections import PackagePinReported, PinStatus
from shared.contracts.event import Event
from shared.contracts.problem import Detail, Problem, invalid

MAX_PINS = 20
"""Pinning services of one package."""


class ReportPin(msgspec.Struct, frozen=True):
    """`service`: the address of the service's API; `request_id`: its own. `reported_at`: now, in UTC."""

    package_id: UUID
    cid: str
    service: str
    request_id: str
    status: PinStatus
    reason: str | None
    reported_at: str


def decide(command: ReportPin, state: Package) -> list[Event]:
    """Idempotent: no events if the same was reported last of this service.

    Raises VALIDATION_FAILED at `/service` and, unless it is the root of a published package, at `/cid`; CONFLICT for
    more than MAX_PINS services.
    """
    if not is_address(command.service):
        message = "must be an http or https URL without a user name, a query and a fragment"
        raise invalid(f"/service {message}", Detail("/service", message))
    pins = next((package.pins for package in state.published if package.root == command.cid), None)
    if pins is None:
        message = "is not the root of a published package of this collection"
        raise invalid(f"/cid {message}", Detail("/cid", message))
    last = next((pin for pin in pins if pin.service == command.service), None)
    if last is None and len(pins) >= MAX_PINS:
        raise Problem("CONFLICT", f"Pins of {MAX_PINS} services are recorded of this package, which is the most")
    report = (command.request_id, command.status, command.reason)
    if last is not None and (last.request_id, last.status, last.reason) == report:
        return []
    return [
        PackagePinReported(
            command.package_id,
            command.cid,
            command.service,
            command.request_id,
            command.status,
            command.reported_at,
            command.reason,
        )
    ]


def is_address(url: str) -> bool:
    """Whether everybody may see the URL: it has neither credentials nor a query."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return False
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    is_plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in ("http", "https") and bool(host) and is_plain
