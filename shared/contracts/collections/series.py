"""Events of a series: the artworks that one job makes of a collection."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.event import Event


class SeriesEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "series"


class SeriesBegun(SeriesEvent, frozen=True, tag="series_begun.v1"):
    """A job will make artworks of a collection; `gids` are in the order of their tokens.

    Failed generations get no token: `services.collections.queries.token` numbers the others.
    """

    job_id: UUID
    collection_id: UUID
    user_id: UUID
    gids: list[UUID]
    is_preview: bool = False
    """A visitor's: it never finishes, so none of its artworks becomes a token."""


class SeriesFinished(SeriesEvent, frozen=True, tag="series_finished.v1"):
    """A job has ended with `artworks` artworks, at least one; that is the number of the collection's tokens."""

    job_id: UUID
    collection_id: UUID
    artworks: int


class SeriesStopped(SeriesEvent, frozen=True, tag="series_stopped.v1"):
    """A job has ended without a finished series, by `outcome`: `failed`, `cancelled`, `expired` or `rejected`."""

    job_id: UUID
    collection_id: UUID
    outcome: str


class SeriesResumed(SeriesEvent, frozen=True, tag="series_resumed.v1"):
    """A job whose series was stopped runs again."""

    job_id: UUID
    collection_id: UUID


SERIES_EVENTS: tuple[type[SeriesEvent], ...] = (SeriesBegun, SeriesFinished, SeriesStopped, SeriesResumed)
