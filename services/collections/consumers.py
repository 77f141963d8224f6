"""Turns events of other services into commands: on component assets, series, artworks and packages.

And notes the workflows of generation, the progress of packages, and the smaller copies of images, in tables.
"""

from services.collections.domain import component_asset, series
from services.collections.domain.artwork.commands import CompleteArtwork
from services.collections.handlers.artwork import ArtworkHandlers
from services.collections.handlers.package import PackageHandlers
from services.collections.tables.package_progress import PackageProgress
from services.collections.tables.scaled_images import ScaledImages
from services.collections.tables.workflows import KnownWorkflows
from shared.contracts.consumers import (
    COLLECTIONS_ARTWORKS,
    COLLECTIONS_ASSETS,
    COLLECTIONS_IMAGES,
    COLLECTIONS_PACKAGES,
    COLLECTIONS_WORKFLOWS,
)
from shared.contracts.generation import (
    GenerationCompleted,
    GenerationStarted,
    JobCancelled,
    JobCompleted,
    JobExpired,
    JobFailed,
    JobPartiallyCompleted,
    JobRejected,
    JobRequested,
    JobResumed,
    JobResumeRejected,
    WorkflowRegistered,
)
from shared.contracts.storage import (
    AssetDescribed,
    AssetStored,
    ImageScaled,
    PackageFailed,
    PackageProgressed,
    PackageStopped,
    PackageStored,
)
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer, ReceivedEvent


def consumers(
    handlers: ArtworkHandlers,
    package_handlers: PackageHandlers,
    package_progress: PackageProgress,
    workflows: KnownWorkflows,
    scaled_images: ScaledImages,
) -> list[Consumer]:
    async def on_asset(recorded: RecordedEvent) -> None:
        context = recorded.context.caused(recorded.event_id, COLLECTIONS_ASSETS.name)
        await handlers.record_asset(recorded.stream_id, asset_command(recorded), context)

    async def on_artwork(recorded: RecordedEvent) -> None:
        context = recorded.context.caused(recorded.event_id, COLLECTIONS_ARTWORKS.name)
        match recorded.event:
            case GenerationStarted() as event:
                await handlers.draw_artwork(event, context)
            case GenerationCompleted(gid=gid, job_id=job_id, outputs=outputs, gen_in_data=data):
                command = CompleteArtwork(gid, outputs, data.get("variables") or [])
                await handlers.complete_artwork(job_id, command, context)
            case _:
                await handlers.record_series(recorded.stream_id, series_command(recorded), context)

    async def on_workflow(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, WorkflowRegistered), recorded.type
        await workflows.note(recorded.event)

    async def on_image(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, ImageScaled), recorded.type
        await scaled_images.note(recorded.event)

    async def on_package(recorded: ReceivedEvent) -> None:
        if isinstance(recorded.event, PackageProgressed):
            await package_progress.note(recorded.event, recorded.epoch, recorded.version)
            return
        assert isinstance(recorded.event, PackageStored | PackageFailed | PackageStopped), recorded.type
        context = recorded.context.caused(recorded.event_id, COLLECTIONS_PACKAGES.name)
        await package_handlers.record(recorded.event, context)

    return [
        Consumer.of(COLLECTIONS_ASSETS, on_asset),
        Consumer.of(COLLECTIONS_ARTWORKS, on_artwork),
        Consumer.of(COLLECTIONS_WORKFLOWS, on_workflow),
        Consumer.of(COLLECTIONS_PACKAGES, on_package),
        Consumer.of(COLLECTIONS_IMAGES, on_image),
    ]


def asset_command(recorded: RecordedEvent) -> component_asset.Command:
    match recorded.event:
        case AssetStored() as event:
            return component_asset.LinkAsset(event)
        case AssetDescribed() as event:
            return component_asset.DescribeAsset(event.asset_id, event.gen_in_data, event.gen_out_data)
        case _:
            raise AssertionError(f"{recorded.type} is not an event of a component's file")


def series_command(recorded: RecordedEvent) -> series.Command:  # noqa: PLR0911 - a case for each event
    match recorded.event:
        case JobRequested() as event:
            return series.BeginSeries(event.job_id, event.collection_id, event.user_id, event.gids(), event.is_preview)
        case JobCompleted() as event:
            return series.FinishSeries(event.job_id)
        case JobPartiallyCompleted() as event:
            return series.FinishSeries(event.job_id, event.failed)
        case JobFailed(job_id):
            return series.StopSeries(job_id, "failed")
        case JobCancelled(job_id):
            return series.StopSeries(job_id, "cancelled")
        case JobExpired(job_id):
            return series.StopSeries(job_id, "expired")
        case JobRejected(job_id):
            return series.StopSeries(job_id, "rejected")
        case JobResumed(job_id):
            return series.ResumeSeries(job_id)
        case JobResumeRejected(job_id, status=status):
            return series.StopSeries(job_id, status)
        case _:
            raise AssertionError(f"{recorded.type} is not an event of a job's series")
