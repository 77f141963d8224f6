"""A file that a component made, as the storage service reports it. The stream id is that of the storage asset."""

from typing import Any, assert_never
from uuid import UUID

import msgspec

from shared.contracts.collections import ComponentAssetDescribed, ComponentAssetEvent, ComponentAssetLinked
from shared.contracts.event import Event


class ComponentAsset(msgspec.Struct, frozen=True):
    asset_id: int | None = None
    gen_in_data: dict[str, Any] | None = None
    gen_out_data: dict[str, Any] | None = None


NOTHING = ComponentAsset()


def evolve(state: ComponentAsset, event: Event) -> ComponentAsset:
    match event:
        case ComponentAssetLinked():
            return ComponentAsset(event.asset_id)
        case ComponentAssetDescribed():
            return msgspec.structs.replace(state, gen_in_data=event.gen_in_data, gen_out_data=event.gen_out_data)
        case _:
            raise AssertionError(f"{event!r} is not an event of a component's file")


class LinkAsset(msgspec.Struct, frozen=True):
    """`collection_id` and `component_id` are None for a file that no component made, such as an upload."""

    asset_id: int
    user_id: UUID
    collection_id: UUID | None
    component_id: int | None
    job_id: UUID | None
    gid: UUID | None
    name: str
    path: str
    mime_type: str
    sha256: str
    size: int | None = None
    cid: str | None = None


class DescribeAsset(msgspec.Struct, frozen=True):
    asset_id: int
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


Command = LinkAsset | DescribeAsset


def decide(command: Command, state: ComponentAsset) -> list[ComponentAssetEvent]:
    """Idempotent: no events for what is recorded already, nor for a file that no component made."""
    match command:
        case LinkAsset():
            if state.asset_id is not None or command.collection_id is None or command.component_id is None:
                return []
            return [
                ComponentAssetLinked(
                    asset_id=command.asset_id,
                    user_id=command.user_id,
                    collection_id=command.collection_id,
                    component_id=command.component_id,
                    job_id=command.job_id,
                    gid=command.gid,
                    name=command.name,
                    path=command.path,
                    mime_type=command.mime_type,
                    sha256=command.sha256,
                    size=command.size,
                    cid=command.cid,
                )
            ]
        case DescribeAsset():
            if state.asset_id is None:
                return []
            if (state.gen_in_data, state.gen_out_data) == (command.gen_in_data, command.gen_out_data):
                return []
            return [ComponentAssetDescribed(command.asset_id, command.gen_in_data, command.gen_out_data)]
        case _ as never:
            assert_never(never)
