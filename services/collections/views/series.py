"""The series of a collection in the API: which artworks of which job are its tokens."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from services.collections.domain.artwork.tokens import Token

MAX_PICTURES = 20
"""In an answer about a publication; the list of tokens has all of them, in pages."""


class TokenView(msgspec.Struct, frozen=True):
    """A token, and what shows it: `image` is null if its artwork has none; `file` is the artwork itself."""

    token: int
    gid: UUID | None
    hash: str
    image: str | None
    file: str | None
    mime_type: str | None


class TokenPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a collection's tokens; `next_cursor` requests the next one and is null on the last."""

    data: list[TokenView]
    count: int
    """The number of all tokens."""
    job_id: UUID | None
    """The job that made them; null if no job has finished."""
    next_cursor: str | None = None
    error: None = None


class ChosenSeriesView(msgspec.Struct, frozen=True):
    """`generations`: the artworks of the job that are sold, in the order of their tokens."""

    job_id: UUID
    generations: list[UUID]


class SeriesView(msgspec.Struct, frozen=True):
    """`pictures`: the first tokens; `more`, null if these are all, is the path of the list of all of them."""

    job_id: UUID
    tokens: int
    pictures: list[TokenView]
    more: str | None


def token_view(token: Token) -> TokenView:
    artifact, image = token.artifact, token.image
    return TokenView(
        token=token.number,
        gid=token.gid,
        hash=token.hash,
        image=token.uri(image) if image else None,
        file=token.uri(artifact) if artifact else None,
        mime_type=artifact.mime_type if artifact else None,
    )


def series_view(collection_id: UUID, job_id: UUID, count: int, tokens: Sequence[Token]) -> SeriesView:
    """Of `count` tokens, of which `tokens` are the first ones or all."""
    more = f"/collections/{collection_id}/tokens" if count > MAX_PICTURES else None
    return SeriesView(job_id, count, [token_view(token) for token in tokens[:MAX_PICTURES]], more)
