"""Events of other services → commands of this one."""

from services.generation.domain.collection_source import Adopt, Revise, SourcePosition
from services.generation.domain.job import Authorize, ConfirmHold, Reject
from services.generation.domain.job.decline import decline
from services.generation.handlers.commands import CommandHandlers
from services.generation.tables.collection_versions import CollectionVersions
from services.generation.tables.stored_files import StoredFiles
from shared.contracts.collections import (
    CollectionArchived,
    CollectionCreated,
    CollectionPublished,
    CollectionRestored,
    CollectionRetitled,
    CustodyTransferred,
    EncryptionChosen,
    InstructionsRevised,
    PreviewConfigured,
)
from shared.contracts.consumers import (
    GENERATION_COLLECTIONS,
    GENERATION_FILES,
    GENERATION_HOLDS,
    GENERATION_OVERDUE_HOLDS,
)
from shared.contracts.credits import HoldDeclined, HoldPlaced, HoldQuestioned
from shared.contracts.generation import PreviewTerms
from shared.contracts.storage import AssetStored
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer, ReceivedEvent


def consumers(handlers: CommandHandlers, stored_files: StoredFiles, versions: CollectionVersions) -> list[Consumer]:
    async def on_collection(recorded: ReceivedEvent) -> None:
        context = recorded.context.caused(recorded.event_id, GENERATION_COLLECTIONS.name)
        if (command := adoption(recorded)) is not None:
            await handlers.adopt_collection(command, context)
        else:
            await versions.note(recorded.stream_id, source_position(recorded))

    async def on_hold(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, HoldPlaced | HoldDeclined)
        context = recorded.context.caused(recorded.event_id, GENERATION_HOLDS.name)
        await handlers.command_job(event.job_id, hold_decision(event), context)

    async def on_overdue_hold(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, HoldQuestioned)
        context = recorded.context.caused(recorded.event_id, GENERATION_OVERDUE_HOLDS.name)
        await handlers.command_job(event.job_id, ConfirmHold(event.job_id, event.user_id, event.hold_id), context)

    async def on_file(recorded: RecordedEvent) -> None:
        assert isinstance(recorded.event, AssetStored)
        await stored_files.add(recorded.event, recorded.recorded_at)

    return [
        Consumer.of(GENERATION_COLLECTIONS, on_collection),
        Consumer.of(GENERATION_HOLDS, on_hold),
        Consumer.of(GENERATION_OVERDUE_HOLDS, on_overdue_hold),
        Consumer.of(GENERATION_FILES, on_file),
    ]


def adoption(recorded: ReceivedEvent) -> Adopt | Revise | None:  # noqa: PLR0911 - a case for each event
    """The command that applies a collection's event to generation's copy; None if it changes nothing in the copy."""
    source = source_position(recorded)
    match recorded.event:
        case CollectionCreated() as event:
            return Adopt(
                collection_id=event.collection_id,
                project_id=event.project_id,
                user_id=event.user_id,
                title=event.title,
                data=event.data,
                encryption_enabled=event.encryption_enabled,
                source=source,
            )
        case CollectionRetitled(collection_id, title):
            return Revise(collection_id, source, title=title)
        case InstructionsRevised(collection_id, data):
            return Revise(collection_id, source, data=data)
        case EncryptionChosen(collection_id, encryption_enabled):
            return Revise(collection_id, source, encryption_enabled=encryption_enabled)
        case CustodyTransferred(collection_id, user_id, project_id):
            return Revise(collection_id, source, user_id=user_id, project_id=project_id)
        case CollectionArchived(collection_id) | CollectionRestored(collection_id):
            return Revise(collection_id, source, is_archived=isinstance(recorded.event, CollectionArchived))
        case PreviewConfigured() as event:
            preview = PreviewTerms(event.enabled, event.max_generations, event.is_remixable, event.paid_by)
            return Revise(event.collection_id, source, preview=preview)
        case CollectionPublished(collection_id):
            return Revise(collection_id, source, is_published=True)
        case _:
            return None


def source_position(recorded: ReceivedEvent) -> SourcePosition:
    return SourcePosition(recorded.version, recorded.epoch, recorded.recorded_at)


def hold_decision(event: HoldPlaced | HoldDeclined) -> Authorize | Reject:
    """The command that records credits' decision on a job's quote in the job."""
    if isinstance(event, HoldPlaced):
        return Authorize(event.job_id, event.user_id, event.amount, event.hold_id)
    return decline(event)
