"""What the storage service says of files, turned into commands on the components that made them."""

from services.collections.domain.component_asset import Command, DescribeAsset, LinkAsset
from services.collections.handlers import Handlers
from shared.contracts.storage import AssetDescribed, AssetStored
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer

ASSETS = "collections-assets-v1"
"""One consumer for both, so that a file is linked before it is described."""


def consumers(handlers: Handlers) -> list[Consumer]:
    async def on_asset(recorded: RecordedEvent) -> None:
        context = recorded.context.caused(recorded.event_id, ASSETS)
        await handlers.note_asset(recorded.stream_id, command_of(recorded), context)

    return [Consumer(name=ASSETS, owner="storage", events=(AssetStored, AssetDescribed), handle=on_asset)]


def command_of(recorded: RecordedEvent) -> Command:
    match recorded.event:
        case AssetStored() as event:
            return LinkAsset(
                asset_id=event.asset_id,
                user_id=event.user_id,
                collection_id=event.collection_id,
                component_id=event.component_id,
                job_id=event.job_id,
                gid=event.gid,
                name=event.name,
                path=event.path,
                mime_type=event.mime_type,
                sha256=event.sha256,
            )
        case AssetDescribed() as event:
            return DescribeAsset(event.asset_id, event.gen_in_data, event.gen_out_data)
        case _:
            raise AssertionError(f"{recorded.type} says nothing of a component's file")
