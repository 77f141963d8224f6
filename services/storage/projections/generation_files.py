"""The files that show a completed generation: one row per generation, from the first description of its files."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import msgspec

from shared.contracts.collections import artwork_of, image_of
from shared.contracts.storage import AssetDescribed
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  gid        uuid primary key,
  job_id     uuid not null,
  artwork_id bigint,
  image_id   bigint
)"""


class GenerationFilesRow(msgspec.Struct, frozen=True):
    """Asset ids: of the artwork, and of the image that shows it. They are what the generation's workers reported."""

    gid: UUID
    job_id: UUID
    artwork_id: int | None
    image_id: int | None


class _File(msgspec.Struct, frozen=True):
    asset_id: int
    mime_type: str


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    assert isinstance(recorded.event, AssetDescribed)
    return [(UUID(recorded.event.gen_out_data["gid"]),)]


def project(row: GenerationFilesRow | None, recorded: RecordedEvent) -> GenerationFilesRow | None:
    assert isinstance(recorded.event, AssetDescribed)
    data = recorded.event.gen_out_data
    if row is not None or data["status"] != "completed":
        return row
    files = list(_files(data))
    artwork, image = artwork_of(files), image_of(files)
    return GenerationFilesRow(
        gid=UUID(data["gid"]),
        job_id=UUID(data["job_id"]),
        artwork_id=artwork.asset_id if artwork else None,
        image_id=image.asset_id if image else None,
    )


def _files(data: dict[str, Any]) -> Iterator[_File]:
    for step in data["steps"]:
        for output in step["outputs"]:
            if output["kind"] == "asset" and output.get("asset_id") is not None:
                yield _File(output["asset_id"], output.get("mime_type") or "")


GENERATION_FILES = Projection(
    name="generation_files",
    version=1,
    row=GenerationFilesRow,
    key=("gid",),
    ddl=DDL,
    events=(AssetDescribed,),
    keys=keys,
    project=project,
)
