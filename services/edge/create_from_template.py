"""`POST /collections/custodial/from-template`: collections makes the draft, of images that storage has fetched before.

The edge replaces each `{"$fetch": "https://…"}` in the values of the overrides by the address of the image in storage,
and sends the request on. A request that names no images is sent on as it is.
"""

import asyncio

import msgspec
from litestar import Response, post

from services.edge.commands import Commands
from services.edge.routing import Upstream
from services.edge.template_images import OVERRIDES, may_name_images, overrides_with_images
from services.edge.web_images import stored_images
from shared.contracts.problem import Problem
from shared.contracts.web_images import with_addresses
from shared.eventstore import Context
from shared.http import ApiRequest, CommandContext, JSONBody, User

PATH = "/collections/custodial/from-template"
FETCHING_SHARE = 0.8
"""Of the seconds that a command may take: for all images together. The rest is for the collection."""


@post(PATH, status_code=201, summary="Create a collection from a template")
async def create_from_template(
    request: ApiRequest, data: JSONBody[dict[str, msgspec.Raw]], principal: User, context: CommandContext
) -> Response[bytes]:
    """Answers as collections does, whose command has the client's own key: it knows the request when it is repeated."""
    commands = Commands(request.app.state.proxy, request, principal.user_id)
    key = request.headers.get("idempotency-key") or str(context.command_id)
    content = await request.body()
    encoded = data.get(OVERRIDES)
    overrides = None
    if encoded is not None and may_name_images(bytes(encoded)):
        overrides = await asyncio.to_thread(overrides_with_images, encoded)
    if overrides is not None:
        try:
            seconds = commands.seconds_left * FETCHING_SHARE
            addresses = await stored_images(commands, overrides.images, context.command_id, seconds)
        except Problem as problem:
            detail = f"{problem.detail}; {_outcome(context)}"
            raise Problem(problem.code, detail, *problem.details) from problem
        members = {**data, OVERRIDES: with_addresses(overrides.values, addresses)}
        content = await asyncio.to_thread(msgspec.json.encode, members)
    return commands.passed_on(await commands.send(Upstream.COLLECTIONS, PATH, content, key))


def _outcome(context: Context) -> str:
    """What an error says that was not done, and how it can be."""
    if context.repeatable:
        return "no collection was created: the same request with the same Idempotency-Key fetches only what is missing"
    return "no collection was created: with an Idempotency-Key, a repeated request would fetch only what is missing"
