"""What happens in other services, turned into commands of this one."""

from services.generation.domain.collection_source import Adopt, Place, Revise
from services.generation.domain.job import Authorize, Reject
from services.generation.handlers import Engine
from shared.contracts.amounts import credits_text
from shared.contracts.collections import (
    CollectionCreated,
    CollectionRetitled,
    CustodyTransferred,
    EncryptionChosen,
    InstructionsRevised,
)
from shared.contracts.credits import HoldDeclined, HoldPlaced
from shared.eventstore import RecordedEvent
from shared.messaging import Consumer, ReceivedEvent

COLLECTIONS = "generation-collections-v2"
HOLDS = "generation-holds-v1"


def consumers(engine: Engine) -> list[Consumer]:
    async def on_collection(recorded: ReceivedEvent) -> None:
        await engine.adopt(adoption(recorded), recorded.context.caused(recorded.event_id, COLLECTIONS))

    async def on_hold(recorded: RecordedEvent) -> None:
        event = recorded.event
        assert isinstance(event, HoldPlaced | HoldDeclined)
        await engine.command_job(event.job_id, verdict(event), recorded.context.caused(recorded.event_id, HOLDS))

    return [
        Consumer(
            name=COLLECTIONS,
            owner="collections",
            events=(CollectionCreated, CollectionRetitled, InstructionsRevised, EncryptionChosen, CustodyTransferred),
            handle=on_collection,
        ),
        Consumer(name=HOLDS, owner="credits", events=(HoldPlaced, HoldDeclined), handle=on_hold),
    ]


def adoption(recorded: ReceivedEvent) -> Adopt | Revise:
    """What an event of a collection changes in what generation knows of it."""
    source = Place(recorded.version, recorded.epoch, recorded.recorded_at)
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
        case _:
            raise AssertionError(f"{recorded.type} changes nothing here")


def verdict(event: HoldPlaced | HoldDeclined) -> Authorize | Reject:
    """What credits said about a job's quote."""
    if isinstance(event, HoldPlaced):
        return Authorize(event.job_id, event.user_id, event.amount)
    return Reject(
        code="INSUFFICIENT_CREDITS",
        reason=f"The job needs {credits_text(event.amount)} credits, and {credits_text(event.available)} are available",
    )
