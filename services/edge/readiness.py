"""When the edge can do its work: with keys, and with a replica of every service to pass requests to."""

import asyncio
from collections.abc import Mapping

from services.edge.replicas import Replicas
from services.edge.routing import Upstream
from shared.http import Authenticator, NotReady
from shared.http.health import Check, agreement


def keys_check(authenticator: Authenticator, iss: str) -> Check:
    async def check() -> str | None:
        if not await authenticator.has_keys(iss):
            raise NotReady(f"the keys of the issuer {iss} can't be read")
        return None

    return check


def service_checks(replicas: Mapping[Upstream, Replicas]) -> tuple[Check, Check]:
    """Whether the edge can pass requests on to every service, and whether it can reach every replica.

    By what was seen in the last moment, or is seen by a look that begins now: that is bounded, whatever is silent.
    """

    async def troubles() -> dict[Upstream, dict[str, str]]:
        found = await asyncio.gather(*(each.troubles() for each in replicas.values()))
        return dict(zip(replicas, found, strict=True))

    def told(found: Mapping[Upstream, Mapping[str, str]]) -> str:
        return "; ".join(
            f"{replicas[name].name}: {url} {fault}" for name, out in found.items() for url, fault in sorted(out.items())
        )

    async def every_service() -> str | None:
        found = await troubles()
        if gone := {name: out for name, out in found.items() if len(out) == len(replicas[name].urls)}:
            raise NotReady(told(gone))
        return None

    async def every_replica() -> str | None:
        if said := told(await troubles()):
            raise NotReady(said)
        return None

    return every_service, every_replica


def clock_check(replicas: Mapping[Upstream, Replicas]) -> Check:
    """Whether this machine's clock and those of the services agree: tokens are judged by both.

    A service whose clock differs from PostgreSQL's says so itself; here it counts when more than half differ.
    """

    async def clock() -> str | None:
        readings = [reading for each in replicas.values() for reading in each.clocks.values()]
        if not readings:
            return "not compared: no service tells its time"
        by_distance = sorted(readings, key=lambda reading: abs(reading.skew))
        return agreement("the services'", by_distance[(len(by_distance) - 1) // 2])

    return clock
