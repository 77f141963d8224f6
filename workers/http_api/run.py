"""The http worker: steps of fetch_api workflows, with the secrets that their requests name."""

import contextlib
import traceback
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from importlib.metadata import version
from random import Random
from typing import Any

import aiohttp
import structlog

from shared.public_addresses import PublicAddresses, PublicResolver
from workers.http_api.api_run import ApiRun, Secrets
from workers.http_api.downloads import Downloads
from workers.http_api.outputs import Outputs
from workers.http_api.redaction import Redaction
from workers.http_api.secrets import SecretValues
from workers.http_api.settings import HttpApiSettings
from workers.kit import Returned, Step, Worker
from workers.kit.connection import own_connection
from workers.kit.faults import StepFault, permanent
from workers.kit.worker import settings_or_exit

NAME = "http-api"

log = structlog.get_logger()

SecretSource = Callable[[], contextlib.AbstractAsyncContextManager[Secrets]]
"""Where values of secrets come from, for the length of the worker's life."""


def http_api(settings: HttpApiSettings, secret_source: SecretSource | None = None) -> Worker:
    """The worker, not running yet. Raises ValueError for EMPROPS_PRIVATE_HOSTS that can't be read."""
    addresses = PublicAddresses(settings.emprops_private_hosts.split(","))
    calls: list[ApiCalls] = []

    @contextlib.asynccontextmanager
    async def lifespan() -> AsyncIterator[None]:
        source = secret_source or (lambda: _from_generation(settings.nats_url))
        async with source() as secret, _session(addresses) as http:
            calls.append(ApiCalls(settings, addresses, http, secret))
            yield

    worker = Worker(NAME, version=version("emprops"), settings=settings, lifespan=lifespan)

    @worker.handles("http_api", workflow_type="fetch_api")
    async def call(step: Step) -> Returned:
        return await calls[-1].outputs(step)

    return worker


class ApiCalls:
    """Runs steps: calls an API, and makes the outputs of its answer."""

    def __init__(
        self, settings: HttpApiSettings, addresses: PublicAddresses, http: aiohttp.ClientSession, secret: Secrets
    ) -> None:
        self._settings, self._addresses, self._http, self._secret = settings, addresses, http, secret
        self._random = Random()  # noqa: S311 - jitter

    async def outputs(self, step: Step) -> Returned:
        """The step's outputs. No message of a StepFault, and no line of the log, has the value of a secret."""
        redaction = Redaction()
        try:
            return await self._outputs(step, redaction)
        except StepFault as fault:
            error = fault.error
            raise StepFault(error.code, redaction.text(error.message), retryable=error.retryable) from None
        except Exception as error:  # noqa: BLE001 - its own text may hold a secret
            log.error("api_call_failed", error=redaction.text("".join(traceback.format_exception(error))))  # noqa: TRY400 - log.exception would log the error with its secrets
            raise permanent("WORKER_FAULT", f"The worker itself failed ({type(error).__name__})") from None

    async def _outputs(self, step: Step, redaction: Redaction) -> Returned:
        values: dict[str, str] = {}

        async def secret(name: str) -> str:
            if name not in values:
                values[name] = await step.retry(lambda: self._secret(name), "secret")
                redaction.add(name, values[name])
            return values[name]

        async def store(checkpoint: dict[str, Any]) -> None:
            await step.checkpoint(redaction.with_names(checkpoint))

        run = ApiRun(
            self._http,
            self._addresses,
            secret,
            redaction,
            store,
            self._random,
            lambda: datetime.now(UTC),
            str(step.sid),
        )
        await step.progress(0.05, "calling the API")
        checkpoint = await step.newest_checkpoint()
        result = await run.run(step.payload, checkpoint, step.checkpoint_number)
        await step.progress(0.8, "storing")
        downloads = Downloads(self._http, self._addresses, self._settings.api_file_max_bytes)
        outputs = Outputs(downloads, redaction, step.upload, lambda fetch: step.retry(fetch, "file"))
        return await outputs.of(result)


def _session(addresses: PublicAddresses) -> aiohttp.ClientSession:
    """A session without cookies, proxies and .netrc, which resolves names to public addresses only."""
    connector = aiohttp.TCPConnector(resolver=PublicResolver(addresses), limit=0)
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "emprops"},
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
    )


@contextlib.asynccontextmanager
async def _from_generation(nats_url: str) -> AsyncIterator[Secrets]:
    async with own_connection(nats_url, f"{NAME}-secrets") as client:
        yield SecretValues(client).value


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    settings = settings_or_exit(HttpApiSettings, NAME)
    http_api(settings).run()
