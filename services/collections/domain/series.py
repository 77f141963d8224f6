"""A series: the artworks that a job makes of a collection, in the order of their tokens. The stream id is the job's."""

from typing import assert_never
from uuid import UUID

import msgspec

from shared.contracts.collections import SeriesBegun, SeriesEvent, SeriesFinished
from shared.contracts.event import Event


class Series(msgspec.Struct, frozen=True):
    """`places`: each generation's place in the series, from 0. That of a visitor's preview never finishes."""

    collection_id: UUID | None = None
    places: dict[UUID, int] = msgspec.field(default_factory=dict)
    finished: bool = False
    is_preview: bool = False


NOTHING = Series()


def evolve(state: Series, event: Event) -> Series:
    match event:
        case SeriesBegun():
            places = {gid: place for place, gid in enumerate(event.gids)}
            return Series(event.collection_id, places, is_preview=event.is_preview)
        case SeriesFinished():
            return msgspec.structs.replace(state, finished=True)
        case _:
            raise AssertionError(f"{event!r} is not an event of a job's series")


class BeginSeries(msgspec.Struct, frozen=True):
    job_id: UUID
    collection_id: UUID
    user_id: UUID
    gids: list[UUID]
    is_preview: bool = False


class FinishSeries(msgspec.Struct, frozen=True):
    """`failed`: the number of generations without an artwork."""

    job_id: UUID
    failed: int = 0


Command = BeginSeries | FinishSeries


def decide(command: Command, state: Series) -> list[SeriesEvent]:
    """Idempotent: no events for what is recorded already. Raises LookupError for the end of a series not begun."""
    match command:
        case BeginSeries():
            if state.collection_id is not None:
                return []
            return [
                SeriesBegun(command.job_id, command.collection_id, command.user_id, command.gids, command.is_preview)
            ]
        case FinishSeries():
            if state.collection_id is None:
                raise LookupError(f"the series of job {command.job_id} ended before it began")
            artworks = len(state.places) - command.failed
            if state.finished or state.is_preview or artworks <= 0:
                return []
            return [SeriesFinished(command.job_id, state.collection_id, artworks)]
        case _ as never:
            assert_never(never)
