"""A client of the edge, for tests."""

from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp

from tests.support.tokens import TokenIssuer


class EdgeClient:
    """Sends requests to the edge, with a user's token by default."""

    def __init__(self, session: aiohttp.ClientSession, url: str, issuer: TokenIssuer) -> None:
        self.session, self.url, self.issuer = session, url, issuer

    def request(self, method: str, path: str, **options: Any) -> Any:
        """Like aiohttp's; `anonymous=True` sends no token."""
        headers = {} if options.pop("anonymous", False) else self.issuer.bearer()
        options["headers"] = {**headers, **options.get("headers", {})}
        return self.session.request(method, self.url + path, **options)

    async def json(self, method: str, path: str, **options: Any) -> tuple[int, Any]:
        """Status and JSON body."""
        async with self.request(method, path, **options) as response:
            return response.status, await response.json(content_type=None)


Edge = Callable[..., Awaitable[EdgeClient]]
"""Starts an edge, with settings replaced."""
