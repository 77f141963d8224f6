"""Metadata of collections and tokens. Public, since marketplaces send no bearer token."""

from typing import Annotated, Any
from uuid import UUID

from litestar import MediaType, Response, get
from litestar.di import NamedDependency
from litestar.params import PathParameter, QueryParameter

from services.collections.domain.chains import Chain
from services.collections.queries.metadata import MetadataQueries
from services.collections.routes import examples
from services.collections.routes.documentation import documented
from services.collections.routes.hashed import hashed
from shared.content.package import canonical
from shared.contracts.token_number import token_number
from shared.http import ApiRequest, Envelope, FromPath, Principal
from shared.http.positions import WITHOUT_TABLES, following

RECOGNIZING = {"public": True, "recognizes": True}
"""No token is needed; with one, its user's drafts are visible, too."""
ChosenChain = Annotated[Chain | None, QueryParameter(description="The chain; by default the collection's own")]
Raw = Annotated[bool, QueryParameter(description="The bare document, as contracts and marketplaces read it")]
Number = Annotated[
    str, PathParameter(description="From 1; or ERC-1155's 64 hexadecimal digits", max_length=64, min_length=1)
]
Revision = Annotated[
    int | None, QueryParameter(ge=1, le=2**53, description="Of what is public; by default the present one")
]
SUFFIX = ".json"
NumberOrFile = Annotated[
    str,
    PathParameter(
        description="As a number of `metadata`, with or without `.json`", max_length=64 + len(SUFFIX), min_length=1
    ),
]
PUBLIC = "public, max-age=60"
PRIVATE = "private, no-cache"
"""Values of Cache-Control. A minute for what everybody sees: of a published collection, the description and some other
fields may still change, which changes the ETag."""


@get(
    "/collections/{collection_id:uuid}/metadata",
    summary="A collection's chain metadata",
    opt=RECOGNIZING | WITHOUT_TABLES,
    operation_class=documented(response=examples.data(examples.COLLECTION_METADATA)),
)
async def get_collection_metadata(
    collection_id: FromPath[UUID],
    request: ApiRequest,
    metadata_queries: NamedDependency[MetadataQueries],
    *,
    chain: ChosenChain = None,
    revision: Revision = None,
    raw: Raw = False,
) -> Response[Envelope[dict[str, Any]]]:
    """ERC-7572 (`contractURI`) for ETHEREUM and BASE, TZIP-16 for TEZOS. For published collections and your own.

    With `revision` 1 as it was published, with a later one as it was after that change.
    """
    document = await metadata_queries.of_collection(reader_of(request), collection_id, chain, revision)
    return bare(request, document) if raw else Response(Envelope(document))


@get(
    "/collections/{collection_id:uuid}/tokens/{number:str}/metadata",
    summary="A token's metadata",
    opt=RECOGNIZING | following("generation", "storage"),
    operation_class=documented(response=examples.data(examples.TOKEN_METADATA)),
)
async def get_token_metadata(
    collection_id: FromPath[UUID],
    number: Number,
    request: ApiRequest,
    metadata_queries: NamedDependency[MetadataQueries],
    *,
    chain: ChosenChain = None,
    revision: Revision = None,
    raw: Raw = False,
) -> Response[Envelope[dict[str, Any]]]:
    """ERC-721 and ERC-1155 with OpenSea's attributes for ETHEREUM and BASE, TZIP-12 and TZIP-21 for TEZOS.

    Tokens are the artworks of one finished job that were chosen when the collection was published, in that order; of a
    draft, those that are chosen so far, or else all of the last job. `revision` as for the collection's metadata.
    """
    document = await metadata_queries.of_token(reader_of(request), collection_id, token_number(number), chain, revision)
    return bare(request, document) if raw else Response(Envelope(document))


@get(
    "/collections/{collection_id:uuid}/tokens/{number:str}",
    summary="A token's metadata as a bare document",
    opt=RECOGNIZING | following("generation", "storage"),
    operation_class=documented(response=examples.TOKEN_METADATA),
)
async def get_token(
    collection_id: FromPath[UUID],
    number: NumberOrFile,
    request: ApiRequest,
    metadata_queries: NamedDependency[MetadataQueries],
    *,
    chain: ChosenChain = None,
) -> Response[dict[str, Any]]:
    """What `metadata` answers, without the envelope, at the address that contracts name.

    That is a base URI and the number, with or without `.json`, or ERC-1155's `{id}` in its place.

    The bytes are those of the same file in the publish package; the ETag is their sha256.
    """
    token = token_number(number.removesuffix(SUFFIX))
    return bare(request, await metadata_queries.of_token(reader_of(request), collection_id, token, chain))


def reader_of(request: ApiRequest) -> UUID | None:
    """The user of a request that needs no token; None without one."""
    principal: Principal | None = request.user
    return principal.user_id if principal is not None else None


def bare(request: ApiRequest, document: dict[str, Any]) -> Response[Any]:
    """A document without the envelope, or 304. Raises VERSION_CONFLICT (412)."""
    # Without a token, only what is published can be read.
    cache_control = PUBLIC if reader_of(request) is None else PRIVATE
    return hashed(request, canonical(document), MediaType.JSON, {"cache-control": cache_control})
