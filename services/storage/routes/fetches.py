"""Files that storage fetches itself, for their owner."""

from uuid import uuid5

import msgspec
from litestar import Response, post
from litestar.di import NamedDependency

from services.storage.domain.paths import upload_prefix
from services.storage.fetching import Fetcher, checked_url, name_of
from services.storage.handlers.asset import CommandHandlers, FileDeclaration
from services.storage.queries.asset import Queries
from services.storage.routes.uploads import answer
from services.storage.views import AssetView, Links
from shared.http import CommandContext, Envelope, JSONBody, User


class FetchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`url`: the http or https address of an image that anybody can read."""

    url: str


@post("/assets/fetch", summary="Store an image from the web")
async def fetch_asset(
    data: JSONBody[FetchBody],
    principal: User,
    context: CommandContext,
    handlers: NamedDependency[CommandHandlers],
    fetcher: NamedDependency[Fetcher],
    queries: NamedDependency[Queries],
    links: NamedDependency[Links],
) -> Response[Envelope[AssetView]]:
    """A file of yours, whose `url` you can use wherever a collection has an image, as in the overrides of a template.

    The type is that of its bytes. 400 at `/url` if the image can't be had: its address is not public, its server does
    not answer in time, or it is too large or no image.
    """
    url = checked_url(data.url)
    path = upload_prefix(principal.user_id, uuid5(context.command_id, "upload")) + name_of(url)
    stored = await handlers.stored_file(path)
    if stored is None:
        async with fetcher.image(url) as image:
            declared = FileDeclaration(
                user_id=principal.user_id, name=name_of(url), path=path, mime_type=image.mime_type
            )
            stored = await handlers.store_file(declared, image.body, context)
    return await answer(stored, queries, links)
