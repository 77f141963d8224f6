"""URLs in collections: https with a host, or ipfs."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import urlsplit

from shared.contracts.problem import Detail

MAX_URL = 2_048
"""Characters."""


def url_faults(url: str, pointer: str) -> Iterator[Detail]:
    """The faults of a URL, which must be https with a host, or ipfs."""
    if len(url) > MAX_URL:
        yield Detail(pointer, f"a URL has at most {MAX_URL} characters")
    elif not is_link(url):
        yield Detail(pointer, "a URL must start with https:// and have a host, or with ipfs://")


def is_loopback(url: str) -> bool:
    """Whether only the machine itself can read a URL: its host is a loopback address, or `localhost`."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def is_link(url: str) -> bool:
    """Whether it is a URL that a collection may have, without a user name or white space."""
    if any(character.isspace() or not character.isprintable() for character in url):
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    return parts.scheme in ("https", "ipfs") and bool(host) and parts.username is None
