"""A file that a component made, as the storage service reports it. The stream id is that of the storage asset."""

from typing import Any, assert_never

import msgspec

from shared.contracts.collections import ComponentAssetDescribed, ComponentAssetEvent, ComponentAssetLinked
from shared.contracts.event import Event
from shared.contracts.storage import AssetStored


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
    """`stored`: storage's event. Without `collection_id` or `component_id`, no component made the file (an upload)."""

    stored: AssetStored


class DescribeAsset(msgspec.Struct, frozen=True):
    asset_id: int
    gen_in_data: dict[str, Any]
    gen_out_data: dict[str, Any]


Command = LinkAsset | DescribeAsset


def decide(command: Command, state: ComponentAsset) -> list[ComponentAssetEvent]:
    """Idempotent: no events for what is recorded already, nor for a file that no component made."""
    match command:
        case LinkAsset(stored):
            if state.asset_id is not None or stored.collection_id is None or stored.component_id is None:
                return []
            return [
                ComponentAssetLinked(
                    asset_id=stored.asset_id,
                    user_id=stored.user_id,
                    collection_id=stored.collection_id,
                    component_id=stored.component_id,
                    job_id=stored.job_id,
                    gid=stored.gid,
                    name=stored.name,
                    path=stored.path,
                    mime_type=stored.mime_type,
                    sha256=stored.sha256,
                    size=stored.size,
                    cid=stored.cid,
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
