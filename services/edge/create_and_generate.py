"""`POST /api/collections/generate`: creates a collection, and generates its artwork, in one request.

The edge sends two commands, one after the other, and decides nothing itself: the collection is created as by
`POST /projects/collections`, its job requested as by `POST /collections/{id}/generations`. Both have a key that is
derived from the request's Idempotency-Key, so the request can be repeated until both are done.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

import aiohttp
import msgspec
from litestar import Response, post

from services.edge.forwarding.attempts import Attempts, ServiceRequest, unavailable
from services.edge.forwarding.proxy import Proxy
from services.edge.forwarding.repetition import ALWAYS
from services.edge.forwarding.request_body import BytesBody
from services.edge.headers import request_headers
from services.edge.routing import Upstream
from shared.contracts.problem import Problem
from shared.http import ApiRequest, CommandContext, FromQuery, JSONBody, User
from shared.http.context import request_trace
from shared.http.positions import HEADER
from shared.http.problems import ProblemBody, respond

CREATION = "/projects/collections"
GENERATION_MEMBERS = ("variables", "generations", "hashes", "max_queue_seconds")
"""The members of the body that are about the job. All others are the collection's, and refused there if unknown."""
_NOT_FORWARDED = frozenset(
    {"idempotency-key", "if-match", "if-none-match", "content-length", "accept", "accept-encoding"}
)
"""Headers of the request that its two commands don't get: they are about this request alone, or set again for each."""
_REFUSAL_HEADERS = ("retry-after", "www-authenticate")
"""Headers of a service's refusal that the client gets, too."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


class _Created(msgspec.Struct, frozen=True):
    id: UUID


class _AcceptedJob(msgspec.Struct, frozen=True):
    job_id: UUID
    status: str
    events_url: str
    warnings: list[Any] = []


class _Envelope(msgspec.Struct, frozen=True):
    data: msgspec.Raw


class _Commands:
    """The commands of one request; `key` is the Idempotency-Key of both."""

    def __init__(self, proxy: Proxy, request: ApiRequest, user_id: UUID, key: str) -> None:
        self._proxy, self._user_id = proxy, user_id
        received = request_headers(request.scope, request_trace(request.scope))
        self._headers = [header for header in received if header[0] not in _NOT_FORWARDED]
        self._headers += [("idempotency-key", key), ("accept", "application/json")]
        self.positions: list[str] = []
        """The positions of the answers so far."""

    async def send(self, service: Upstream, target: str, members: Mapping[str, Any]) -> Answer:
        """Raises UNAVAILABLE when the service can't be reached, or does not answer in time."""
        proxy, content = self._proxy, msgspec.json.encode(members)
        positions = proxy.positions.of(self._user_id)
        headers = [*self._headers, *([(HEADER, positions)] if positions else [])]
        request = ServiceRequest("POST", target, headers, BytesBody(content), ALWAYS, proxy.limits)
        request.data = content
        response = await Attempts(proxy.session, proxy.replicas[service], proxy.limits, request).response()
        try:
            body = await response.read()
        except (aiohttp.ClientError, OSError) as error:
            raise unavailable(service, f"broke off; {request.retry_advice}") from error
        finally:
            response.close()
        if position := response.headers.get(HEADER):
            self.positions.append(position)
            proxy.positions.note(self._user_id, position)
        return Answer(response.status, response.headers, body)


@post("/api/collections/generate", status_code=202, summary="Create a collection and generate its artwork")
async def create_and_generate(
    request: ApiRequest,
    data: JSONBody[dict[str, msgspec.Raw]],
    principal: User,
    context: CommandContext,
    project_id: FromQuery[UUID | None] = None,
    asset_id: FromQuery[int | None] = None,
) -> Response[bytes] | Response[ProblemBody]:
    """Answers a refusal of either part as that service answers it; Location names the collection once it is created."""
    commands = _Commands(request.app.state.proxy, request, principal.user_id, str(context.command_id))
    parameters = {"project_id": project_id, "asset_id": asset_id}
    query = urlencode({name: str(value) for name, value in parameters.items() if value is not None})
    fields = {name: value for name, value in data.items() if name not in GENERATION_MEMBERS}
    created = await commands.send(Upstream.COLLECTIONS, f"{CREATION}?{query}" if query else CREATION, fields)
    if created.status != 201:
        return _refusal(created, commands.positions)
    collection_id = _data(created, _Created).id
    job_members = {name: value for name, value in data.items() if name in GENERATION_MEMBERS}
    try:
        accepted = await commands.send(Upstream.GENERATION, f"/collections/{collection_id}/generations", job_members)
    except Problem as problem:
        return respond(problem, headers=_headers(commands.positions, collection_id))
    if accepted.status != 202:
        return _refusal(accepted, commands.positions, collection_id)
    job = _data(accepted, _AcceptedJob)
    answer = {"collection_id": collection_id, **msgspec.structs.asdict(job)}
    body = msgspec.json.encode({"data": answer, "error": None})
    headers = _headers(commands.positions, collection_id)
    return Response(body, status_code=202, media_type="application/json", headers=headers)


def _data(answer: Answer, kind: type[Any]) -> Any:
    return msgspec.json.decode(msgspec.json.decode(answer.body, type=_Envelope).data, type=kind)


def _refusal(answer: Answer, positions: Iterable[str], collection_id: UUID | None = None) -> Response[bytes]:
    headers = {name: answer.headers[name] for name in _REFUSAL_HEADERS if name in answer.headers}
    return Response(
        answer.body,
        status_code=answer.status,
        media_type=answer.headers.get("content-type", "application/json"),
        headers=headers | _headers(positions, collection_id),
    )


def _headers(positions: Iterable[str], collection_id: UUID | None) -> dict[str, str]:
    headers = {} if collection_id is None else {"location": f"/collections/{collection_id}"}
    joined = ", ".join(positions)
    return headers | ({HEADER.lower(): joined} if joined else {})
