"""A series: the artworks that a job makes of a collection, in the order of their tokens. The stream id is the job's."""

from typing import assert_never
from uuid import UUID

import msgspec

from shared.contracts.collections import SeriesBegun, SeriesEvent, SeriesFinished, SeriesResumed, SeriesStopped
from shared.contracts.event import Event


class Series(msgspec.Struct, frozen=True):
    """`places`: each generation's place in the series, from 0. That of a visitor's preview never finishes.

    `outcome`: how its job ended without a finished series; None while it runs, and when the series is finished.
    """

    collection_id: UUID | None = None
    places: dict[UUID, int] = msgspec.field(default_factory=dict)
    finished: bool = False
    is_preview: bool = False
    outcome: str | None = None


NOTHING = Series()


def evolve(state: Series, event: Event) -> Series:
    match event:
        case SeriesBegun():
            places = {gid: place for place, gid in enumerate(event.gids)}
            return Series(event.collection_id, places, is_preview=event.is_preview)
        case SeriesFinished():
            return msgspec.structs.replace(state, finished=True, outcome=None)
        case SeriesStopped():
            return msgspec.structs.replace(state, outcome=event.outcome)
        case SeriesResumed():
            return msgspec.structs.replace(state, outcome=None)
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


class StopSeries(msgspec.Struct, frozen=True):
    """`outcome`: how the job ended, without a finished series."""

    job_id: UUID
    outcome: str


class ResumeSeries(msgspec.Struct, frozen=True):
    job_id: UUID


Command = BeginSeries | FinishSeries | StopSeries | ResumeSeries


def decide(command: Command, state: Series) -> list[SeriesEvent]:
    """Idempotent: no events for what is recorded already, nor for what befalls a finished series or a preview's.

    Raises LookupError for the end or the resume of a series that has not begun.
    """
    match command:
        case BeginSeries():
            if state.collection_id is not None:
                return []
            return [
                SeriesBegun(command.job_id, command.collection_id, command.user_id, command.gids, command.is_preview)
            ]
        case FinishSeries() | StopSeries() | ResumeSeries():
            if state.collection_id is None:
                raise LookupError(f"the series of job {command.job_id} ended before it began")
            return [] if state.finished or state.is_preview else _go_on(command, state, state.collection_id)
        case _ as never:
            assert_never(never)


def _go_on(command: FinishSeries | StopSeries | ResumeSeries, state: Series, collection_id: UUID) -> list[SeriesEvent]:
    """The end or the resume of a series that is not finished."""
    match command:
        case FinishSeries():
            artworks = len(state.places) - command.failed
            return [SeriesFinished(command.job_id, collection_id, artworks)] if artworks > 0 else []
        case StopSeries():
            return [SeriesStopped(command.job_id, collection_id, command.outcome)] if state.outcome is None else []
        case ResumeSeries():
            return [] if state.outcome is None else [SeriesResumed(command.job_id, collection_id)]
        case _ as never:
            assert_never(never)
