"""`POST /api/collections/generate`: creates a collection, and generates its artwork, in one request.

The edge sends two commands, one after the other, and decides nothing itself: the collection is created as by
`POST /projects/collections`, its job requested as by `POST /collections/{id}/generations`. Both have a key that is
derived from the request's Idempotency-Key, so the request can be repeated until both are done.
"""

from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import msgspec
from litestar import Response, post

from services.edge.commands import Answer, Commands
from services.edge.routing import Upstream
from shared.contracts.problem import Problem
from shared.http import ApiRequest, CommandContext, FromQuery, JSONBody, User
from shared.http.problems import ProblemBody, respond

CREATION = "/projects/collections"
GENERATION_MEMBERS = ("variables", "generations", "hashes", "max_queue_seconds")
"""The members of the body that are about the job. All others are the collection's, and refused there if unknown."""


class _Created(msgspec.Struct, frozen=True):
    id: UUID


class _AcceptedJob(msgspec.Struct, frozen=True):
    job_id: UUID
    status: str
    events_url: str
    warnings: list[Any] = []


class _Envelope(msgspec.Struct, frozen=True):
    data: msgspec.Raw


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
    commands = Commands(request.app.state.proxy, request, principal.user_id)
    key = str(context.command_id)
    parameters = {"project_id": project_id, "asset_id": asset_id}
    query = urlencode({name: str(value) for name, value in parameters.items() if value is not None})
    fields = {name: value for name, value in data.items() if name not in GENERATION_MEMBERS}
    target = f"{CREATION}?{query}" if query else CREATION
    created = await commands.send(Upstream.COLLECTIONS, target, msgspec.json.encode(fields), key)
    if created.status != 201:
        return commands.passed_on(created)
    collection_id = _data(created, _Created).id
    location = f"/collections/{collection_id}"
    job_members = {name: value for name, value in data.items() if name in GENERATION_MEMBERS}
    try:
        content = msgspec.json.encode(job_members)
        accepted = await commands.send(Upstream.GENERATION, f"{location}/generations", content, key)
    except Problem as problem:
        return respond(problem, headers=commands.headers(location))
    if accepted.status != 202:
        return commands.passed_on(accepted, location)
    job = _data(accepted, _AcceptedJob)
    answer = {"collection_id": collection_id, **msgspec.structs.asdict(job)}
    body = msgspec.json.encode({"data": answer, "error": None})
    return Response(body, status_code=202, media_type="application/json", headers=commands.headers(location))


def _data(answer: Answer, kind: type[Any]) -> Any:
    return msgspec.json.decode(msgspec.json.decode(answer.body, type=_Envelope).data, type=kind)
