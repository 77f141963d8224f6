"""The public pages of published collections, in HTML: for people, so they are not operations of the API's document."""

import re
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from litestar import MediaType, Request, Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from services.collections.pages.rendering import PAGES
from services.collections.queries.page import PageQueries
from services.collections.routes.hashed import hashed
from shared.contracts.problem import Problem, not_found
from shared.contracts.token_number import token_number
from shared.http import ApiRequest, FromPath
from shared.http.positions import following
from shared.http.problems import EXCEPTION_HANDLERS, ProblemBody
from shared.http.strict_urls import CANONICAL_UUID

A_MINUTE = "public, max-age=60"
"""A published collection's description and some other fields may change, and packages are added."""
SENTENCE = (
    "The collection or artwork does not exist, is not published, or was withdrawn. "
    "One that was published a moment ago may take a few seconds."
)
PageNumber = Annotated[int, QueryParameter(description="Of the list of artworks, from 1", ge=1, le=2**53)]


def _headers() -> dict[str, str]:
    return {
        "content-security-policy": PAGES.policy,
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


def _as_page(handler: Callable[..., Response[ProblemBody]]) -> Callable[..., Response[bytes]]:
    """An exception handler that answers what another one says, with its status and headers, as a page."""

    def handle(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        response = handler(request, error)
        body = response.content
        title, sentence = ("No such page", SENTENCE) if body.status == 404 else (body.title, body.detail)
        return Response(
            PAGES.render("problem.html", title=title, sentence=sentence),
            status_code=body.status,
            media_type=MediaType.HTML,
            headers={**response.headers, **_headers(), "cache-control": "no-cache"},
        )

    return handle


PAGE: dict[str, Any] = {
    "opt": {"public": True} | following("generation", "storage"),
    "exception_handlers": {kind: _as_page(handler) for kind, handler in EXCEPTION_HANDLERS.items()},
    "include_in_schema": False,
}
"""What the handlers of all pages have in common. What is 404 is certain: see `shared.http.positions`."""


@get("/c/{collection:str}", summary="A collection's page", **PAGE)
async def show_collection(
    collection: FromPath[str], request: ApiRequest, page_queries: NamedDependency[PageQueries], *, page: PageNumber = 1
) -> Response[Any]:
    """A published collection: 48 of its artworks, its provenance, and how to verify it."""
    return _shown(request, "collection.html", await page_queries.collection(_id(collection), page))


@get("/c/{collection:str}/{number:str}", summary="A token's page", **PAGE)
async def show_token(
    collection: FromPath[str], number: FromPath[str], request: ApiRequest, page_queries: NamedDependency[PageQueries]
) -> Response[Any]:
    """A token of a published collection: its artwork, traits and provenance, and how to verify it."""
    return _shown(request, "token.html", await page_queries.token(_id(collection), _number(number)))


def _shown(request: ApiRequest, template: str, page: Any) -> Response[Any]:
    content = PAGES.render(template, page=page)
    return hashed(request, content, MediaType.HTML, {**_headers(), "cache-control": A_MINUTE})


def _id(text: str) -> UUID:
    """Raises NOT_FOUND for what is no id: a page has no other errors for what somebody types."""
    if not re.fullmatch(CANONICAL_UUID, text):
        raise not_found("The collection")
    return UUID(text)


def _number(text: str) -> int:
    """Raises NOT_FOUND, as `_id`."""
    try:
        return token_number(text)
    except Problem as problem:
        raise not_found("The token") from problem
