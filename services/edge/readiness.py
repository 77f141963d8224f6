"""The edge is ready when it has keys to verify tokens with, and a healthy replica of every service."""

import asyncio
from collections.abc import Mapping

from services.edge.forwarding.replicas import Replicas
from services.edge.routing import Upstream
from shared.http import Authenticator, NotReady
from shared.http.health import Check, agreement


def keys_check(authenticator: Authenticator, iss: str) -> Check:
    """Whether the keys of this issuer's tokens can be read."""

    async def check() -> str | None:
        if not await authenticator.has_keys(iss):
            raise NotReady(f"the keys of the issuer {iss} can't be read")
        return None

    return check


def service_checks(replicas: Mapping[Upstream, Replicas]) -> tuple[Check, Check]:
    """Two checks: whether each service has a healthy replica, and whether all replicas are healthy.

    They rest on health checks that are current or begin now, and take at most `replicas.RESULTS_TIMEOUT` seconds.
    """

    async def unhealthy() -> dict[Upstream, dict[str, str]]:
        by_service = await asyncio.gather(*(service.unhealthy_now() for service in replicas.values()))
        return dict(zip(replicas, by_service, strict=True))

    def describe(faults: Mapping[Upstream, Mapping[str, str]]) -> str:
        return "; ".join(
            f"{upstream}: {url} {fault}" for upstream, by_url in faults.items() for url, fault in sorted(by_url.items())
        )

    async def every_service() -> str | None:
        faults = await unhealthy()
        down = {upstream: by_url for upstream, by_url in faults.items() if len(by_url) == len(replicas[upstream].urls)}
        if down:
            raise NotReady(describe(down))
        return None

    async def every_replica() -> str | None:
        if faults := describe(await unhealthy()):
            raise NotReady(faults)
        return None

    return every_service, every_replica


def clock_check(replicas: Mapping[Upstream, Replicas]) -> Check:
    """Whether this machine's clock agrees with those of the services, since both judge whether a token has expired.

    Fails when it differs from more than half of them. One service's own clock is that service's check, with PostgreSQL.
    """

    async def clock() -> str | None:
        readings = [reading for service in replicas.values() for reading in service.clocks.values()]
        if not readings:
            return "not compared: no service has answered with a Date header"
        by_distance = sorted(readings, key=lambda reading: abs(reading.skew))
        return agreement("the services'", by_distance[(len(by_distance) - 1) // 2])

    return clock
