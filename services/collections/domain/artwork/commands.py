"""Records an artwork's variables when its generation starts, and its traits and files when it is complete."""

from collections.abc import Iterator, Sequence
from typing import Any, assert_never
from uuid import UUID

import msgspec

from services.collections.domain.artwork.state import Artwork
from services.collections.domain.artwork.traits import traits_of
from services.collections.domain.series import Series
from shared.contracts.collections import ArtworkDrawn, ArtworkEvent, ArtworkFile, ArtworkMade
from shared.contracts.generation import StepOutputs
from shared.contracts.problem import Problem


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
    """`declarations`: the variables as the instructions declare them, with their display names."""

    gid: UUID
    outputs: Sequence[StepOutputs]
    declarations: Sequence[Any]


Command = DrawArtwork | CompleteArtwork


def decide(command: Command, state: Artwork) -> list[ArtworkEvent]:
    """Idempotent: no events for what is recorded already.

    Raises UNAVAILABLE until the series, another stream, has begun; LookupError for an artwork that is not in its
    series, or complete before it was drawn.
    """
    match command:
        case DrawArtwork():
            return _draw(command, state)
        case CompleteArtwork():
            return _complete(command, state)
        case _ as never:
            assert_never(never)


def _draw(command: DrawArtwork, state: Artwork) -> list[ArtworkEvent]:
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


def _complete(command: CompleteArtwork, state: Artwork) -> list[ArtworkEvent]:
    if state.made:
        return []
    if state.job_id is None or state.collection_id is None:
        raise LookupError(f"artwork {command.gid} was made before it was drawn")
    return [
        ArtworkMade(
            gid=command.gid,
            job_id=state.job_id,
            collection_id=state.collection_id,
            traits=traits_of(state.variables, command.declarations),
            files=list(_files(command.outputs)),
        )
    ]


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
