"""The files of published tokens. Public, since marketplaces and wallets send no bearer token."""

from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter

from services.storage.providers.file_store import FileStore
from services.storage.queries.public_token import FileKind, PublicTokenQueries
from services.storage.routes.documentation import FileDownload
from services.storage.routes.file_response import PUBLIC, file_response
from shared.contracts.token_number import token_number
from shared.http import ApiRequest, FromPath
from shared.http.positions import following

A_MINUTE = "public, max-age=60"
"""The Cache-Control of an image in place of its thumbnail, which is being made."""
ANYONE = {"public": True} | following("collections", "generation")
Number = Annotated[
    str, PathParameter(description="From 1; or ERC-1155's 64 hexadecimal digits", max_length=64, min_length=1)
]


@dataclass(frozen=True)
class TokenFiles:
    """The files of the token in a request's path."""

    request: ApiRequest
    collection_id: UUID
    number: int
    queries: PublicTokenQueries
    objects: FileStore

    async def response(self, kind: FileKind) -> Response[Any]:
        row, is_final = await self.queries.file(self.collection_id, self.number, kind)
        return await file_response(self.request, row, self.objects, PUBLIC if is_final else A_MINUTE)


def provide_token_files(
    request: ApiRequest,
    collection_id: FromPath[UUID],
    number: Number,
    public_token_queries: NamedDependency[PublicTokenQueries],
    objects: NamedDependency[FileStore],
) -> TokenFiles:
    return TokenFiles(request, collection_id, token_number(number), public_token_queries, objects)


@get(
    "/collections/{collection_id:uuid}/tokens/{number:str}/image",
    summary="A token's image",
    opt=ANYONE,
    operation_class=FileDownload,
)
async def read_token_image(token_files: NamedDependency[TokenFiles]) -> Response[Any]:
    """The artwork, or an image that represents it if the artwork is not one. Of published collections only.

    It never changes, so it may be cached without a limit. The ETag is the sha256.
    """
    return await token_files.response("image")


@get(
    "/collections/{collection_id:uuid}/tokens/{number:str}/animation",
    summary="A token's animation",
    opt=ANYONE,
    operation_class=FileDownload,
)
async def read_token_animation(token_files: NamedDependency[TokenFiles]) -> Response[Any]:
    """The artwork if it is not an image: a video, a sound, a model or a page; else 404. Otherwise as `image`."""
    return await token_files.response("animation")


@get(
    "/collections/{collection_id:uuid}/tokens/{number:str}/thumbnail",
    summary="A token's thumbnail",
    opt=ANYONE,
    operation_class=FileDownload,
)
async def read_token_thumbnail(token_files: NamedDependency[TokenFiles]) -> Response[Any]:
    """What metadata names as the thumbnail: a copy of the image that fits into 350 by 350 pixels, as WebP.

    The image itself where it can't be decoded, until the copy is made, which takes some seconds after the publication,
    and for what early releases published. Otherwise as `image`.
    """
    return await token_files.response("thumbnail")
