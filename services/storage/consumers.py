"""Events of other services: ended generations describe their files, packages are requested, collections published."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import msgspec

from services.storage.domain.asset import DescribeAsset
from services.storage.handlers.asset import CommandHandlers
from services.storage.handlers.package import PackageHandlers
from services.storage.queries.asset import Queries
from services.storage.tables.published_collections import PublishedCollections, Source
from shared.contracts.collections import (
    CollectionArchived,
    CollectionPublished,
    CollectionRestored,
    PackageCancelRequested,
    PackagePartListed,
    PackageRequested,
)
from shared.contracts.consumers import STORAGE_COLLECTIONS, STORAGE_GENERATIONS, STORAGE_PACKAGES
from shared.contracts.generation import GenerationCancelled, GenerationCompleted, GenerationFailed, Output
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer, ReceivedEvent
from shared.telemetry import get_logger

Ended = GenerationCompleted | GenerationFailed | GenerationCancelled
STATUS: dict[type[Ended], str] = {
    GenerationCompleted: "completed",
    GenerationFailed: "failed",
    GenerationCancelled: "cancelled",
}

log = get_logger("storage")


def consumers(
    handlers: CommandHandlers,
    package_handlers: PackageHandlers,
    queries: Queries,
    published: PublishedCollections,
) -> list[Consumer]:
    async def on_generation(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, Ended), recorded.type
        gen_in_data, gen_out_data = event.gen_in_data, out_data(event)
        for output in file_outputs(event):
            assert output.asset_id is not None
            row = await queries.asset(output.asset_id)
            if row is None:
                log.warning(
                    "an output of a generation is no asset of this service",
                    gid=str(event.gid),
                    asset_id=output.asset_id,
                )
                continue
            command = DescribeAsset(output.asset_id, event.user_id, event.job_id, event.gid, gen_in_data, gen_out_data)
            context = recorded.context.caused(recorded.event_id, f"{STORAGE_GENERATIONS.name}:{output.asset_id}")
            await handlers.describe(row.path, command, context)

    async def on_collection(recorded: ReceivedEvent) -> None:
        source = Source(recorded.epoch, recorded.version)
        match recorded.event:
            case CollectionPublished() as event:
                await published.publish(event, source)
            case CollectionArchived() | CollectionRestored() as event:
                is_archived = isinstance(event, CollectionArchived)
                await published.archive(event.collection_id, source, is_archived=is_archived)
            case _:
                raise AssertionError(f"{recorded.type} does not change what is published")

    return [
        Consumer.of(STORAGE_GENERATIONS, on_generation),
        Consumer.of(STORAGE_PACKAGES, partial(on_package, package_handlers)),
        Consumer.of(STORAGE_COLLECTIONS, on_collection),
    ]


async def on_package(package_handlers: PackageHandlers, recorded: RecordedEvent) -> None:
    """Records a part of a package's list, queues its build, or asks for its end."""
    context = recorded.context.caused(recorded.event_id, STORAGE_PACKAGES.name)
    match recorded.event:
        case PackagePartListed() as part:
            await package_handlers.take_part(part, context)
        case PackageRequested() as request:
            await package_handlers.accept(request, context)
        case PackageCancelRequested() as event:
            await package_handlers.cancel(event)
        case _:
            raise AssertionError(f"{recorded.type} is not an event of a package request")


def file_outputs(event: Ended) -> Iterator[Output]:
    """The outputs of a generation that are files."""
    for step in event.outputs:
        for output in step.outputs:
            if output.kind == "asset" and output.asset_id is not None:
                yield output


def out_data(event: Ended) -> dict[str, Any]:
    """`gen_out_data`: the generation's status, its error if it failed, and the outputs of its steps."""
    data: dict[str, Any] = {
        "gid": str(event.gid),
        "job_id": str(event.job_id),
        "status": STATUS[type(event)],
        "steps": msgspec.to_builtins(event.outputs),
    }
    if isinstance(event, GenerationFailed):
        data["error"] = msgspec.to_builtins(event.error)
    return data
