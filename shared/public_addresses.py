"""Addresses that may be fetched on a user's behalf: public ones, and those of an allow-list.

A name is resolved once, its addresses are checked, and the connection goes to exactly those: what the name resolves to
a moment later does not matter (DNS rebinding). Each redirect is checked in the same way.
"""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})

NAT64 = (ip_network("64:ff9b::/96"), ip_network("64:ff9b:1::/48"))
"""Prefixes under which IPv6 addresses stand for IPv4 ones (RFC 6052, RFC 8215): in the last 32 bits."""


class BadRedirect(Exception):  # noqa: N818 - as NotAllowed
    """Redirects lead to nothing that can be fetched. The message says how, as the end of a sentence about the URL."""


class NotAllowed(OSError):  # noqa: N818 - a condition; an OSError, as resolvers raise
    """The address is not public, and not allow-listed. The message names the host."""


class PublicAddresses:
    """`allowed`: host names, addresses and networks (CIDR) that may be fetched although they are private."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        """Raises ValueError for an entry that is neither."""
        self._names: set[str] = set()
        self._networks: list[IPv4Network | IPv6Network] = []
        for entry in filter(None, (text.strip().lower() for text in allowed)):
            try:
                self._networks.append(ip_network(entry, strict=False))
            except ValueError:
                if "/" in entry or not entry.replace("-", "").replace(".", "").replace("_", "").isalnum():
                    raise ValueError(f"{entry!r} is no host name, address or network") from None
                self._names.add(entry)

    def check_url(self, url: URL) -> None:
        """Refuses what needs no resolution: other schemes, credentials in the URL, and literal private addresses.

        Raises NotAllowed.
        """
        if url.scheme not in {"http", "https"} or not url.host:
            raise NotAllowed(f"{url.scheme or 'a URL without a scheme'} is not fetched, only http and https")
        if url.user is not None or url.password is not None:
            raise NotAllowed("a URL with credentials is not fetched")
        try:
            address = ip_address(url.host)
        except ValueError:
            return
        self.check_address(url.host, address)

    def check_address(self, host: str, address: IPv4Address | IPv6Address) -> None:
        """Raises NotAllowed unless the address, resolved from `host`, may be fetched."""
        if host.lower().rstrip(".") in self._names:
            return
        addresses = [address, *embedded(address)]
        if all(is_public(candidate) for candidate in addresses) or any(
            candidate in network for candidate in addresses for network in self._networks
        ):
            return
        raise NotAllowed(f"{host} is not a public address")


def embedded(address: IPv4Address | IPv6Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 address stands for: mapped, NAT64, 6to4 or Teredo."""
    if isinstance(address, IPv4Address):
        return []
    candidates = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if any(address in prefix for prefix in NAT64) or int(address) >> 32 == 0:
        candidates.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [candidate for candidate in candidates if candidate is not None]


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether anybody in the internet may have this address, which is not that of a group."""
    if isinstance(address, IPv6Address) and embedded(address):
        return True  # it is as public as the addresses that it stands for
    return address.is_global and not address.is_multicast


class PublicResolver(AbstractResolver):
    """For `aiohttp.TCPConnector`: resolves a name to addresses that may all be fetched, or raises NotAllowed."""

    def __init__(self, addresses: PublicAddresses) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """All addresses of the name. Raises NotAllowed if one of them may not be fetched, OSError if there is none."""
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, family=family, type=socket.SOCK_STREAM)
        for *_, sockaddr in infos:
            self._addresses.check_address(host, ip_address(str(sockaddr[0]).partition("%")[0]))
        return [_result(host, info) for info in infos]

    async def close(self) -> None:
        """Holds nothing."""


@contextlib.asynccontextmanager
async def fetched(
    session: aiohttp.ClientSession, addresses: PublicAddresses, url: URL, **options: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    """The response to a GET after all redirects, each checked as `url` itself. `options` are those of `session.get`.

    The session must resolve names with PublicResolver. Raises NotAllowed, BadRedirect, and aiohttp's errors.
    """
    for _ in range(MAX_REDIRECTS + 1):
        addresses.check_url(url)
        try:
            response = await session.get(url, allow_redirects=False, **options)
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, NotAllowed):
                raise error.os_error from None
            raise
        async with response:
            if response.status not in REDIRECTS or "Location" not in response.headers:
                yield response
                return
            try:
                url = url.join(URL(response.headers["Location"]))
            except ValueError:
                raise BadRedirect("is redirected to a text that is not a URL") from None
    raise BadRedirect(f"is behind more than {MAX_REDIRECTS} redirects")


def _result(host: str, info: Sequence[object]) -> ResolveResult:
    family, _, protocol, _, sockaddr = info
    assert isinstance(sockaddr, tuple)
    return ResolveResult(
        hostname=host,
        host=str(sockaddr[0]),
        port=int(sockaddr[1]),
        family=int(family),  # type: ignore[call-overload] # typed loosely by getaddrinfo
        proto=int(protocol),  # type: ignore[call-overload] # as above
        flags=socket.AI_NUMERICHOST,
    )
