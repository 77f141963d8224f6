"""Events of a series: the artworks that one job makes of a collection."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.event import Event


class SeriesEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "series"


class SeriesBegun(SeriesEvent, frozen=True, tag="series_begun.v1"):
    """A job will make artworks of a collection; `gids` in the order that their tokens will have.

    Those that fail get no token: `services.collections.token_list` reads which artwork has which number.
    """

    job_id: UUID
    collection_id: UUID
    user_id: UUID
    gids: list[UUID]


class SeriesFinished(SeriesEvent, frozen=True, tag="series_finished.v1"):
    """A job has made what it could: `artworks` of them, at least one. They number the collection's tokens."""

    job_id: UUID
    collection_id: UUID
    artworks: int


SERIES_EVENTS: tuple[type[SeriesEvent], ...] = (SeriesBegun, SeriesFinished)
