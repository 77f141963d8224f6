"""Events of a file that a component of a collection has made."""

from typing import Any, ClassVar
from uuid import UUID

from shared.contracts.event import Event


class ComponentAssetEvent(Event, frozen=True):
    aggregate: ClassVar[str] = "component_asset"


class ComponentAssetLinked(ComponentAssetEvent, frozen=True, tag="component_asset_linked.v1"):
    """A component has made a file. The storage service keeps its bytes and its URL."""

    asset_id: int
    user_id: UUID
    collection_id: UUID
    component_id: int
    job_id: UUID | None
    gid: UUID | None
    name: str
    path: str
    mime_type: str
    sha256: str
    size: int | None = None
    cid: str | None = None
    """None for files stored before CIDs were recorded."""


class ComponentAssetDescribed(ComponentAssetEvent, frozen=True, tag="component_asset_described.v1"):
    """The inputs of a component's file are known: a collection can be created from it."""

    asset_id: int
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


COMPONENT_ASSET_EVENTS: tuple[type[ComponentAssetEvent], ...] = (ComponentAssetLinked, ComponentAssetDescribed)
