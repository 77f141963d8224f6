"""When the edge can do its work: with keys. A service that is down is named, but no reason to take the edge away."""

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


def services_check(replicas: Mapping[Upstream, Replicas], session: aiohttp.ClientSession) -> Check:
    async def is_up(base: str) -> bool:
        try:
            async with session.get(f"{base}/health/live", timeout=TIMEOUT) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False

    async def check() -> str | None:
        asked = [(name, base) for name, each in replicas.items() for base in each.urls]
        up = await asyncio.gather(*(is_up(base) for _, base in asked))
        down = [name.value for (name, _), is_there in zip(asked, up, strict=True) if not is_there]
        return f"not reachable: {', '.join(down)}" if down else None

    return check
