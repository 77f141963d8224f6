"""The models that operators have described."""

from uuid import UUID

import msgspec

from shared.contracts.generation import ModelDescribed
from shared.eventstore import RecordedEvent
from shared.projections import Projection

DDL = """
create table {table} (
  model_id   uuid primary key,
  kind       text not null,
  name       text not null,
  source_url text,
  sha256     text,
  size       bigint
);
create unique index {table}_name on {table} (kind, name)"""


class ModelRow(msgspec.Struct, frozen=True):
    model_id: UUID
    kind: str
    name: str
    source_url: str | None
    sha256: str | None
    size: int | None


def keys(recorded: RecordedEvent) -> list[tuple[UUID]]:
    return [(recorded.stream_id,)]


def project(_: ModelRow | None, recorded: RecordedEvent) -> ModelRow:
    event = recorded.event
    assert isinstance(event, ModelDescribed)
    return ModelRow(event.model_id, event.kind, event.name, event.source_url, event.sha256, event.size)


MODELS = Projection(
    name="models",
    version=1,
    row=ModelRow,
    key=("model_id",),
    ddl=DDL,
    events=(ModelDescribed,),
    keys=keys,
    project=project,
)
