"""The attempts to get one response from the replicas of a service.

A refused connection is retried, at other replicas and for a few seconds: nothing was sent yet, so a service's restart
goes unnoticed. A request that was sent is sent a second time only if that is safe: after a broken connection, or, while
a replica is silent, to another one (a hedged request), and the first response is used.
"""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus

import aiohttp
from yarl import URL

from services.edge.forwarding.limits import Limits
from services.edge.forwarding.repetition import READS, Repetition
from services.edge.forwarding.replicas import Replicas
from services.edge.forwarding.request_body import RequestBody
from shared.backoff import Backoff
from shared.contracts.problem import Problem
from shared.stopping import stop

BODY_CHECK_SECONDS = 0.5
"""Seconds between two checks whether a body is still being sent."""

ResponseTask = asyncio.Task[aiohttp.ClientResponse]


def unavailable(service: str, why: str) -> Problem:
    """UNAVAILABLE with the detail "The <service> service <why>"."""
    return Problem("UNAVAILABLE", f"The {service} service {why}")


class BrokenOff(aiohttp.ClientConnectionError):
    """The connection broke after the request was sent."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """A client middleware that hides a broken connection from aiohttp, which sends each PUT and DELETE again then."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise BrokenOff(str(error)) from error


class ServiceRequest:
    """A client's request in the form in which a service gets it."""

    def __init__(
        self,
        method: str,
        target: str,
        headers: list[tuple[str, str]],
        body: RequestBody,
        repetition: Repetition,
        limits: Limits,
    ) -> None:
        self.method, self.target, self.headers, self.body = method, target, headers, body
        self.seconds = limits.read if method in READS else limits.command
        """How long it waits for its response to begin, after its body is sent."""
        self.data: bytes | None = None
        """A small body, once it was read; None if there is none, or if it is streamed."""
        self._repetition = repetition
        self.can_repeat = body.is_small and repetition.after_break
        """Whether it may be sent again after a broken connection; False after the first repetition."""
        self.can_hedge = body.is_small and repetition.beside
        """Whether two replicas may handle it at the same time."""

    @property
    def retry_advice(self) -> str:
        """The end of an error's detail when it is unknown whether the request was handled."""
        if self._repetition.after_break:
            return "it is safe to try again in a moment"
        return "it may have been done or not; sent with an Idempotency-Key, it is safe to try again"

    def replace_header(self, name: str, value: str) -> None:
        self.headers = [*(header for header in self.headers if header[0] != name), (name, value)]

    async def send(self, session: aiohttp.ClientSession, base_url: str) -> aiohttp.ClientResponse:
        """Sends it, and returns when the response has begun. Raises what aiohttp raises."""
        content: bytes | AsyncIterator[bytes] | None = self.data
        if not self.body.is_small:
            content = self.body.stream()
        return await session.request(
            self.method,
            URL(base_url + self.target, encoded=True),
            headers=self.headers,
            data=content,
            allow_redirects=False,
            middlewares=() if self._repetition.after_break else (_once,),
        )


class _Candidates:
    """The replicas to try, each once per round. Between two rounds there is a pause."""

    def __init__(self, replicas: Replicas, restart: float) -> None:
        self._replicas, self._restart = replicas, restart
        self._began = asyncio.get_running_loop().time()
        self._backoff = Backoff(replicas.name, first=0.02, longest=0.25)
        self._untried = replicas.by_preference().copy()

    async def next(self) -> str:
        """The next URL. Raises UNAVAILABLE if a round ends more than `restart` seconds after the first one began."""
        if not self._untried:
            if asyncio.get_running_loop().time() - self._began > self._restart:
                raise unavailable(self._replicas.name, "can't be reached right now; try again in a moment")
            self._backoff.failures += 1
            await asyncio.sleep(self._backoff.next_pause())
            self._untried = self._replicas.by_preference().copy()
        return self._untried.pop(0)

    def next_of_round(self) -> str | None:
        """The next URL of this round, None at its end."""
        return self._untried.pop(0) if self._untried else None


class Attempts:
    """The attempts for one request; call `response` once."""

    def __init__(
        self, session: aiohttp.ClientSession, replicas: Replicas, limits: Limits, request: ServiceRequest
    ) -> None:
        self._session, self._replicas, self._limits, self._request = session, replicas, limits, request
        self._candidates = _Candidates(replicas, limits.restart)
        self._began = asyncio.get_running_loop().time()
        self._pending: set[ResponseTask] = set()

    async def response(self) -> aiohttp.ClientResponse:
        """The first response of any replica; other attempts are cancelled.

        Raises UNAVAILABLE when none begins in time, and the client's own failure when its body ends early.
        """
        try:
            while True:
                if not self._pending:
                    self._start(await self._candidates.next())
                silence = await self._wait()
                if (response := self._take_response()) is not None:
                    return response
                if self._pending and silence > self._request.seconds:
                    raise unavailable(self._replicas.name, f"didn't answer in time; {self._request.retry_advice}")
                if silence > self._limits.hedge and self._request.can_hedge and len(self._pending) == 1:
                    url = self._candidates.next_of_round()
                    if url is not None:
                        self._start(url)
        finally:
            await stop(*self._pending)
            for task in self._pending:
                if not task.cancelled() and task.exception() is None:
                    task.result().close()

    def _start(self, url: str) -> None:
        async def attempt() -> aiohttp.ClientResponse:
            try:
                with self._replicas.request_in_flight(url):
                    response = await self._request.send(self._session, url)
            except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                self._replicas.note_refusal(url)
                raise
            if response.status == HTTPStatus.SERVICE_UNAVAILABLE:
                self._replicas.note_unavailable(url)
            return response

        self._pending.add(asyncio.create_task(attempt()))

    async def _wait(self) -> float:
        """Waits until an attempt ends or a bound is reached; for how many seconds the service has been silent."""
        loop = asyncio.get_running_loop()
        silence = loop.time() - max(self._began, self._request.body.moved_at)
        bounds = [bound - silence for bound in (self._limits.hedge, self._request.seconds) if bound >= silence]
        await asyncio.wait(
            self._pending, timeout=min([BODY_CHECK_SECONDS, *bounds]) + 0.001, return_when=asyncio.FIRST_COMPLETED
        )
        if self._request.body.waits_for_client:
            return 0.0
        return loop.time() - max(self._began, self._request.body.moved_at)

    def _take_response(self) -> aiohttp.ClientResponse | None:
        """The response of an attempt that has ended. Failed attempts are dropped if another one may succeed.

        Otherwise raises what the client gets: UNAVAILABLE, or the failure of its own body.
        """
        for task in [task for task in self._pending if task.done()]:
            self._pending.discard(task)
            error = task.exception()
            if error is None:
                return task.result()
            if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
                continue
            if self._request.body.failure is not None:
                raise self._request.body.failure from error
            if not isinstance(error, aiohttp.ClientError | OSError):
                raise error
            if self._pending:
                continue
            if isinstance(error, TimeoutError):
                raise unavailable(
                    self._replicas.name, f"didn't answer in time; {self._request.retry_advice}"
                ) from error
            if not self._request.can_repeat:
                raise unavailable(self._replicas.name, f"broke off; {self._request.retry_advice}") from error
            self._request.can_repeat = False
        return None
