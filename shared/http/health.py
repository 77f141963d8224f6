"""`/health/live` says that the process runs; `/health/ready` that it can do its work, check by check."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

import msgspec
from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from shared.http.logging import get_logger

log = get_logger("health")

CHECK_TIMEOUT = 2.0

Check = Callable[[], Awaitable[str | None]]
"""Passes by returning, with a remark or None; fails by raising. Only the words of `NotReady` are shown to clients."""


class NotReady(Exception):  # noqa: N818 - a state, not an error
    """A check's own words for why it fails, fit for anyone to read."""


class CheckResult(msgspec.Struct, frozen=True):
    status: Literal["ok", "failing"]
    detail: str | None = None


class Health(msgspec.Struct, frozen=True):
    status: Literal["ok", "failing"]
    checks: dict[str, CheckResult]


async def _run(name: str, check: Check, timeout: float) -> CheckResult:  # noqa: ASYNC109 - a bound per check, not per caller
    try:
        async with asyncio.timeout(timeout):
            return CheckResult("ok", await check())
    except NotReady as failure:
        return CheckResult("failing", str(failure))
    except TimeoutError:
        return CheckResult("failing", f"no answer within {timeout:g} s")
    except Exception as error:  # noqa: BLE001 - whatever a check raises, it is a failing check
        log.warning("readiness check failed", check=name, error=repr(error))
        return CheckResult("failing", type(error).__name__)


async def readiness_of(checks: Mapping[str, Check], *, timeout: float = CHECK_TIMEOUT) -> Health:  # noqa: ASYNC109 - as above
    """Runs all checks at once, each bounded by `timeout` seconds."""
    results = await asyncio.gather(*(_run(name, check, timeout) for name, check in checks.items()))
    healthy = all(result.status == "ok" for result in results)
    return Health("ok" if healthy else "failing", dict(zip(checks, results, strict=True)))


def health_routes(checks: Mapping[str, Check]) -> list[HTTPRouteHandler]:
    """The two route handlers; the mapping is read at each request, so checks may be added later."""

    @get("/health/live", opt={"public": True}, include_in_schema=False, sync_to_thread=False)
    def live() -> Health:
        return Health("ok", {})

    @get("/health/ready", opt={"public": True}, include_in_schema=False)
    async def ready() -> Response[Health]:
        health = await readiness_of(checks)
        return Response(health, status_code=200 if health.status == "ok" else 503)

    return [live, ready]
