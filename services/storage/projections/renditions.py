"""The images of which it is decided whether there are smaller copies: one row per image."""

import msgspec

from shared.contracts.storage import ImageScaled
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  asset_id     bigint primary key,
  thumbnail_id bigint
)"""


class RenditionsRow(msgspec.Struct, frozen=True):
    """Asset ids: of the image, and of its thumbnail if it has one."""

    asset_id: int
    thumbnail_id: int | None


def keys(recorded: RecordedEvent) -> list[tuple[int]]:
    assert isinstance(recorded.event, ImageScaled)
    return [(recorded.event.asset_id,)]


def project(_: RenditionsRow | None, recorded: RecordedEvent) -> RenditionsRow:
    assert isinstance(recorded.event, ImageScaled)
    renditions = recorded.event.renditions
    thumbnail_id = next((rendition.asset_id for rendition in renditions if rendition.kind == "thumbnail"), None)
    return RenditionsRow(recorded.event.asset_id, thumbnail_id)


RENDITIONS = Projection(
    name="renditions",
    version=1,
    row=RenditionsRow,
    key=("asset_id",),
    ddl=DDL,
    events=(ImageScaled,),
    keys=keys,
    project=project,
)
