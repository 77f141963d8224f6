"""Events of models: the files that ComfyUI servers load."""

from typing import ClassVar
from uuid import UUID

from shared.contracts.event import Event


class ModelEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "model"


class ModelDescribed(ModelEvent, frozen=True, tag="model_described.v1"):
    """An operator described a model; the newest description is valid."""

    model_id: UUID
    kind: str
    """The model's folder: checkpoints, vae, loras, …"""
    name: str
    """The name of its file."""
    source_url: str | None
    sha256: str | None
    size: int | None
    """Bytes."""
