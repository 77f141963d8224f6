"""Names of services: a service is a token of a NATS subject."""

import re
from collections.abc import Iterator
from typing import Any

from shared.contracts.problem import Detail, quote

SERVICE = re.compile(r"[A-Za-z0-9_-]{1,100}")


def service_faults(service: Any, pointer: str) -> Iterator[Detail]:
    if not isinstance(service, str) or not SERVICE.fullmatch(service):
        yield Detail(pointer, f"is required, and must be 1 to 100 letters, digits, - and _, not {quote(service)}")
