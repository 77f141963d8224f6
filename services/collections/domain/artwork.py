"""One artwork: its drawn variables, then its files. The stream id is its generation's."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, assert_never
from uuid import UUID

import msgspec

from services.collections.domain.series import Series
from shared.contracts.collections import ArtworkDrawn, ArtworkEvent, ArtworkFile, ArtworkMade, Trait
from shared.contracts.event import Event
from shared.contracts.generation import StepOutputs
from shared.contracts.problem import Problem


class Artwork(msgspec.Struct, frozen=True):
    gid: UUID | None = None
    job_id: UUID | None = None
    collection_id: UUID | None = None
    variables: dict[str, Any] = msgspec.field(default_factory=dict)
    made: bool = False


NOTHING = Artwork()


def evolve(state: Artwork, event: Event) -> Artwork:
    match event:
        case ArtworkDrawn():
            return Artwork(event.gid, event.job_id, event.collection_id, event.variables)
        case ArtworkMade():
            return msgspec.structs.replace(state, made=True)
        case _:
            return state


class DrawArtwork(msgspec.Struct, frozen=True):
    """`series`: the state of the job's series when the command is decided."""

    gid: UUID
    job_id: UUID
    collection_id: UUID
    user_id: UUID
    hash: str
    variables: dict[str, Any]
    series: Series


class CompleteArtwork(msgspec.Struct, frozen=True):
    """`written`: the variables as the instructions declare them, with their display names."""

    gid: UUID
    outputs: Sequence[StepOutputs]
    written: Sequence[Any]


Command = DrawArtwork | CompleteArtwork


def decide(command: Command, state: Artwork) -> list[ArtworkEvent]:
    """Idempotent: no events for what is recorded already.

    Raises UNAVAILABLE until the series, another stream, has begun; LookupError for an artwork that is not in its
    series, or complete before it was drawn.
    """
    match command:
        case DrawArtwork():
            if state.gid is not None:
                return []
            if command.series.collection_id is None:
                raise Problem("UNAVAILABLE", f"The series of job {command.job_id} is not known yet")
            place = command.series.places.get(command.gid)
            if place is None:
                raise LookupError(f"generation {command.gid} is not one of job {command.job_id}")
            return [
                ArtworkDrawn(
                    gid=command.gid,
                    job_id=command.job_id,
                    collection_id=command.collection_id,
                    user_id=command.user_id,
                    place=place,
                    hash=command.hash,
                    variables=command.variables,
                )
            ]
        case CompleteArtwork():
            if state.made:
                return []
            if state.job_id is None or state.collection_id is None:
                raise LookupError(f"artwork {command.gid} was made before it was drawn")
            return [
                ArtworkMade(
                    gid=command.gid,
                    job_id=state.job_id,
                    collection_id=state.collection_id,
                    traits=traits_of(state.variables, command.written),
                    files=list(_files(command.outputs)),
                )
            ]
        case _ as never:
            assert_never(never)


def traits_of(variables: Mapping[str, Any], written: Sequence[Any]) -> list[Trait]:
    """What was drawn, in the order in which the instructions declare it, under the names that values are shown by.

    A value that says nothing (an empty text) is no trait.
    """
    found = []
    for each in written:
        name = each.get("name") if isinstance(each, dict) else None
        if not isinstance(name, str) or name not in variables:
            continue
        value = _shown(variables[name], each.get("value"))
        if value != "":
            found.append(Trait(name, value))
    return found


def _shown(value: Any, declared: Any) -> str | int | float:
    """A pick's value by its display name; numbers that have none, as numbers."""
    if isinstance(declared, dict):
        values, names = declared.get("values") or [], declared.get("display_names") or []
        at = next((index for index, each in enumerate(values[: len(names)]) if each == value), None)
        if at is not None:
            return str(names[at])
    return value if isinstance(value, str | int | float) and not isinstance(value, bool) else str(value)


def _files(outputs: Sequence[StepOutputs]) -> Iterator[ArtworkFile]:
    for step in outputs:
        for output in step.outputs:
            if output.kind == "asset" and output.asset_id is not None:
                yield ArtworkFile(
                    asset_id=output.asset_id,
                    url=output.url or "",
                    path=output.path or "",
                    mime_type=output.mime_type or "application/octet-stream",
                    sha256=output.sha256 or "",
                    size=output.size or 0,
                )
