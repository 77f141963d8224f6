"""When the edge can do its work: with keys, and with a service to pass requests to.

One that is gone, or one of its replicas, is told; only without any is the edge itself not ready.
"""

import asyncio
from collections.abc import Mapping

import aiohttp

from services.edge.replicas import Replicas
from services.edge.routing import Upstream
from shared.http import Authenticator, NotReady
from shared.http.health import Check

TIMEOUT = aiohttp.ClientTimeout(total=1.0)


def keys_check(authenticator: Authenticator, iss: str) -> Check:
    async def check() -> str | None:
        if not await authenticator.has_keys(iss):
            raise NotReady(f"the keys of the issuer {iss} can't be read")
        return None

    return check


def service_checks(replicas: Mapping[Upstream, Replicas], session: aiohttp.ClientSession) -> tuple[Check, Check]:
    """Whether the edge can pass on anything at all, and whether it can reach every replica."""

    async def is_up(base: str) -> bool:
        try:
            async with session.get(f"{base}/health/live", timeout=TIMEOUT) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):  # a timeout is one
            return False

    async def looked() -> dict[str, list[str]]:
        """The addresses of each service that did not answer; no entry for a service that is whole."""
        asked = [(name.value, base) for name, each in replicas.items() for base in each.urls]
        up = await asyncio.gather(*(is_up(base) for _, base in asked))
        down: dict[str, list[str]] = {}
        for (name, base), is_there in zip(asked, up, strict=True):
            if not is_there:
                down.setdefault(name, []).append(base)
        return down

    async def any_service() -> str | None:
        down = await looked()
        if all(down.get(name.value) == each.urls for name, each in replicas.items()):
            raise NotReady("no service can be reached")
        return None

    async def every_service() -> str | None:
        if down := await looked():
            raise NotReady("; ".join(f"{name} can't be reached at {', '.join(at)}" for name, at in down.items()))
        return None

    return any_service, every_service
