"""Commands that the edge composes: what one request of a client sends to several services, one after the other.

The edge decides nothing: each command is one that the client could send itself, with the client's token. Each has an
Idempotency-Key, so the edge may repeat it when its connection breaks.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple
from uuid import UUID

import aiohttp
from litestar import Response

from services.edge.forwarding.attempts import Attempts, ServiceRequest, unavailable
from services.edge.forwarding.proxy import Proxy
from services.edge.forwarding.repetition import ALWAYS, Repetition
from services.edge.forwarding.request_body import BytesBody
from services.edge.forwarding.user_positions import UserPositions
from services.edge.headers import request_headers
from services.edge.routing import Upstream
from shared.http import ApiRequest
from shared.http.context import request_trace
from shared.http.positions import HEADER

_NOT_FORWARDED = frozenset(
    {"idempotency-key", "if-match", "if-none-match", "content-length", "accept", "accept-encoding"}
)
"""Headers of the request that its commands don't get: they are about this request alone, or set again for each."""
_PASSED_ON = ("etag", "location", "retry-after", "www-authenticate")
"""Headers of a service's answer that the client gets, too."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class Commands:
    """The commands of one request, sent on behalf of its user, within the time that one command may take."""

    def __init__(self, proxy: Proxy, request: ApiRequest, user_id: UUID) -> None:
        self._proxy, self._user_id = proxy, user_id
        self._ends_at = asyncio.get_running_loop().time() + proxy.limits.command
        received = request_headers(request.scope, request_trace(request.scope))
        self._headers = [header for header in received if header[0] not in _NOT_FORWARDED]
        self._headers.append(("accept", "application/json"))
        self._positions = UserPositions()
        """Those of the answers to this request: the newest of each service, so that a client can send them all back."""

    @property
    def seconds_left(self) -> float:
        """Until the answer to the request must begin."""
        return max(0.0, self._ends_at - asyncio.get_running_loop().time())

    async def send(
        self,
        service: Upstream,
        target: str,
        content: bytes,
        key: str,
        *,
        repetition: Repetition = ALWAYS,
    ) -> Answer:
        """Sends a POST under the Idempotency-Key `key`.

        Raises UNAVAILABLE when the service can't be reached, or does not answer in the time that is left.
        """
        proxy = self._proxy
        limits = replace(proxy.limits, command=self.seconds_left)
        positions = proxy.positions.of(self._user_id)
        headers = [*self._headers, ("idempotency-key", key), *([(HEADER, positions)] if positions else [])]
        request = ServiceRequest("POST", target, headers, BytesBody(content), repetition, limits)
        request.data = content
        response = await Attempts(proxy.session, proxy.replicas[service], limits, request).response()
        try:
            body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise unavailable(service, f"broke off; {request.retry_advice}") from error
        finally:
            response.close()
        if position := response.headers.get(HEADER):
            self._positions.note(self._user_id, position)
            proxy.positions.note(self._user_id, position)
        return Answer(response.status, response.headers, body)

    def headers(self, location: str | None = None) -> dict[str, str]:
        """Those of the answer to the client: the positions of the answers so far, and what was created."""
        headers = {} if location is None else {"location": location}
        positions = self._positions.of(self._user_id)
        return headers | ({HEADER.lower(): positions} if positions else {})

    def passed_on(self, answer: Answer, location: str | None = None) -> Response[bytes]:
        """A service's answer as the answer to the client. `location`: what was created before a refusal."""
        headers = {name: answer.headers[name] for name in _PASSED_ON if name in answer.headers}
        return Response(
            answer.body,
            status_code=answer.status,
            media_type=answer.headers.get("content-type", "application/json"),
            headers=headers | self.headers(location),
        )
