"""One artwork: its drawn variables, then its files. The stream id is its generation's."""

from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.collections import ArtworkDrawn, ArtworkMade
from shared.contracts.event import Event


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
            raise AssertionError(f"{event!r} is not an event of an artwork")
