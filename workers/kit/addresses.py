"""Which addresses a worker reads files from, and which of them get the step's token.

URLs in a payload come from users. So only http and https are accepted; the token is sent to the storage service that
the grant is for, and to no other host; any other host must be in the worker's allow-list, INPUT_HOSTS.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from yarl import URL

from workers.kit.faults import permanent

ASSET = re.compile(r"/assets/\d+/content")


@dataclass(frozen=True)
class Address:
    url: URL
    bearer: bool
    """Whether the request carries the step's token."""


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


class Addresses:
    """`api_urls`: edges that serve the same API, tried in turn for files while one of them does not answer."""

    def __init__(self, public_url: str, hosts: Sequence[str], api_urls: Sequence[str] = ()) -> None:
        self._public = URL(public_url)
        self._hosts = frozenset(host.strip().lower() for host in hosts if host.strip())
        self._edges = [URL(url.strip()).origin() for url in api_urls if url.strip()]
        self._turn = 0

    def at_edge(self, url: URL) -> URL:
        """The same path at the current edge; unchanged if the address is not at one of the edges."""
        if url.origin() not in self._edges:
            return url
        edge = self._edges[self._turn % len(self._edges)]
        return url.with_scheme(edge.scheme).with_host(edge.host or "").with_port(edge.port)

    def has_another(self, url: URL) -> bool:
        """Whether there is another edge to try."""
        return len(self._edges) > 1 and url.origin() in self._edges

    def failed(self, url: URL) -> None:
        """Call it when `url`, which `at_edge` returned, did not answer: the next edge becomes the current one, once."""
        if self._edges and url.origin() == self._edges[self._turn % len(self._edges)]:
            self._turn += 1

    def of(self, link: str, upload_url: str, field: str) -> Address:
        """Where to read a link of the payload's `field`. Raises StepFault INPUT_REFUSED.

        A link to a file through the edge becomes the same path at the storage service that the grant is for: the
        file is the same, and the reads of a busy job do not count against its user's rate limit.
        """
        try:
            url = URL(link)
            usable = url.scheme in ("http", "https") and bool(url.host) and url.user is None and url.password is None
        except ValueError:
            usable = False
        if not usable:
            raise permanent("INPUT_REFUSED", f"/{field}: must be the http or https URL of a file")
        storage = URL(upload_url)
        if _origin(url) == _origin(storage):
            return Address(url, bearer=True)
        if _origin(url) == _origin(self._public):
            base = self._public.path.rstrip("/")
            path = url.path.removeprefix(base)
            if url.path.startswith(base) and ASSET.fullmatch(path):
                return Address(storage.origin().with_path(path), bearer=True)
            raise permanent("INPUT_REFUSED", f"/{field}: is not the address of a file")
        if self._is_listed(url):
            return Address(url, bearer=False)
        raise permanent(
            "INPUT_REFUSED",
            f"/{field}: files are not read from {url.host}: upload the file to the set, or add the host to INPUT_HOSTS",
        )

    def _is_listed(self, url: URL) -> bool:
        host = (url.host or "").lower()
        return (url.is_default_port() and host in self._hosts) or f"{host}:{url.port}" in self._hosts
