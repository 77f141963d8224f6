"""The addresses of one service: asked in turn, the busier ones later, those that just refused a connection last.

A replica that hangs answers nothing, so what waits for it piles up: asking the least busy one first leaves it alone.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence

DOWN_FOR = 1.0
"""Seconds for which a replica that refused a connection is asked after the others."""


class Replicas:
    def __init__(self, name: str, urls: Sequence[str]) -> None:
        assert urls, f"the service {name} needs at least one URL"
        self.name = name
        self.urls = [url.rstrip("/") for url in urls]
        self._next = 0
        self._down_until = dict.fromkeys(self.urls, 0.0)
        self._waiting = dict.fromkeys(self.urls, 0)

    def in_turn(self) -> list[str]:
        """All base URLs, beginning with the one for which the fewest requests wait; among equals, the next in turn."""
        if len(self.urls) == 1:
            return self.urls
        self._next = (self._next + 1) % len(self.urls)
        turned = self.urls[self._next :] + self.urls[: self._next]
        now = time.monotonic()
        return sorted(turned, key=lambda url: (self._down_until[url] > now, self._waiting[url]))

    @contextlib.contextmanager
    def asked(self, url: str) -> Iterator[None]:
        """While a request waits for this replica to begin its answer."""
        self._waiting[url] += 1
        try:
            yield
        finally:
            self._waiting[url] -= 1

    def refused(self, url: str) -> None:
        """Notes that a connection could not be made."""
        self._down_until[url] = time.monotonic() + DOWN_FOR
