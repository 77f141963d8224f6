"""Commands on collections: create, fork, change, transfer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

from services.collections.component_ids import ComponentIds
from services.collections.deciders import COLLECTION, PROJECT
from services.collections.domain import project
from services.collections.domain.collection import components, creation, instructions, template
from services.collections.domain.collection import state as collection
from services.collections.domain.collection.creation import (
    CreateCollection,
    CreateFromTemplate,
    ForkCollection,
    refuse_fork,
)
from services.collections.domain.collection.custody import TransferCustody
from services.collections.domain.collection.custody import decide as decide_transfer
from services.collections.domain.collection.editing import PreviewChanges
from services.collections.domain.collection.fields import FieldChanges
from services.collections.domain.collection.state import Collection, Custody
from services.collections.domain.project import Project, create_default
from services.collections.handlers.project import CONTENDED, MAX_ATTEMPTS
from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.contracts.references import MAX_STEPS
from shared.eventstore import Context, EventStore, Handled, Loaded, StreamAppend, VersionConflict
from shared.http import Precondition


@dataclass(frozen=True)
class TemplateFilling:
    """What a collection has beside its template's. `overrides`: values of the instructions by path."""

    changes: FieldChanges
    overrides: Mapping[str, Any]
    custody: Custody
    preview: PreviewChanges


@dataclass(frozen=True)
class CommandHandlers:
    store: EventStore
    component_ids: ComponentIds
    clock: Callable[[], datetime]
    locks: WeakValueDictionary[UUID, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """By collection: commands on one are serialised per process, to avoid version conflicts under contention.

    Changes by other replicas are detected by the stream's version.
    """

    async def create_collection(
        self,
        user_id: UUID,
        project_id: UUID | None,
        changes: FieldChanges,
        data: dict[str, Any] | None,
        context: Context,
    ) -> Handled[Collection]:
        """Creates a collection with its preview in one transaction, and in it the default project if that is missing.

        Idempotent by command id. Raises VALIDATION_FAILED, NOT_FOUND for the project, CONFLICT under contention.
        """
        if data is None:
            data = instructions.default()

        async def command(collection_id: UUID, target_id: UUID) -> creation.Command:
            return CreateCollection(
                collection_id=collection_id,
                project_id=target_id,
                user_id=user_id,
                changes=changes,
                data=data,
                component_ids=await self.new_component_ids(data),
            )

        return await self._create(user_id, project_id, command, context)

    async def fork_collection(
        self, user_id: UUID, project_id: UUID | None, source_id: UUID, custody: Custody | None, context: Context
    ) -> Handled[Collection]:
        """As `create_collection`, from another collection. Raises NOT_FOUND, VALIDATION_FAILED if not remixable."""

        async def command(collection_id: UUID, target_id: UUID) -> creation.Command:
            source = (await self.store.load(COLLECTION, source_id)).state
            return ForkCollection(
                collection_id=collection_id,
                project_id=target_id,
                user_id=user_id,
                source=source,
                component_ids=await self.new_component_ids(source.data),
                custody=custody,
            )

        return await self._create(user_id, project_id, command, context)

    async def create_from_template(
        self, user_id: UUID, template_id: UUID, filling: TemplateFilling, context: Context
    ) -> Handled[Collection]:
        """As `fork_collection`, in custody, with some of the values replaced."""

        async def command(collection_id: UUID, target_id: UUID) -> creation.Command:
            source = (await self.store.load(COLLECTION, template_id)).state
            refuse_fork(source, user_id)
            fields = template.filled_fields(source, filling.changes)
            data = await asyncio.to_thread(template.filled_data, source, filling.overrides)
            return CreateFromTemplate(
                collection_id=collection_id,
                project_id=target_id,
                user_id=user_id,
                template_id=template_id,
                fields=fields,
                data=data,
                component_ids=await self.new_component_ids(data),
                custody=filling.custody,
                preview=filling.preview,
            )

        return await self._create(user_id, None, command, context)

    async def _create(
        self,
        user_id: UUID,
        project_id: UUID | None,
        command: Callable[[UUID, UUID], Awaitable[creation.Command]],
        context: Context,
    ) -> Handled[Collection]:
        """`command` gets the ids of the collection and its project; it is called again after a version conflict."""
        collection_id = uuid5(context.command_id, "collection")
        if context.repeatable:
            before = await self.store.load(COLLECTION, collection_id)
            if before.version:
                return before.handled()
        for _ in range(MAX_ATTEMPTS):
            generation = self.store.epochs.generation
            target_id, project_events = await self._project_to_create_in(user_id, project_id)
            creates = await command(collection_id, target_id)
            data = creates.source.data if isinstance(creates, ForkCollection) else creates.data
            if instructions.is_large(data):
                events = await asyncio.to_thread(creation.decide, creates, collection.NOTHING)
            else:
                events = creation.decide(creates, collection.NOTHING)
            # The collection is appended first, since its first event's id shows whether the command is a repetition.
            beside = [StreamAppend(target_id, 0, project_events)]
            try:
                return await self.store.create(
                    COLLECTION, collection_id, events, context, beside=beside, generation=generation
                )
            except VersionConflict:
                continue
        raise Problem("CONFLICT", CONTENDED)

    async def _project_to_create_in(self, user_id: UUID, project_id: UUID | None) -> tuple[UUID, Sequence[Event]]:
        """The id of the requested or else the default project, and the events that create it if it is missing."""
        if project_id is not None:
            return project.owned((await self._project(project_id)).state, user_id), ()
        command = create_default(user_id)
        return command.project_id, project.decide(command, (await self._project(command.project_id)).state)

    async def _project(self, project_id: UUID) -> Loaded[Project]:
        """A project, possibly stale: only for its existence and its owner, which never change."""
        return self.store.cached(PROJECT, project_id) or await self.store.load(PROJECT, project_id)

    async def new_component_ids(self, data: Any) -> list[int]:
        """One id for each step in `data`, which is not validated yet; MAX_STEPS at most."""
        claimed = components.claimed_ids(data)
        return await self.component_ids.take(min(len(claimed), MAX_STEPS), apart_from=frozenset(claimed))

    async def change(
        self,
        user_id: UUID,
        collection_id: UUID,
        decide: Callable[[Collection], Sequence[Event]],
        context: Context,
        precondition: Precondition,
        *,
        large: bool = False,
    ) -> Handled[Collection]:
        """Appends what `decide` returns. Raises NOT_FOUND, and VERSION_CONFLICT if `precondition` is not met."""
        async with self.locks.setdefault(collection_id, asyncio.Lock()):
            expected = None
            if precondition.is_conditional:
                # The owner is checked before the version, so that another user's collection is NOT_FOUND.
                loaded = await self.store.load(COLLECTION, collection_id)
                collection.owned(loaded.state, user_id)
                if not await self.store.is_handled(collection_id, context):
                    expected = precondition.expected(loaded.version)
            return await self.store.handle(
                COLLECTION, collection_id, decide, context, expected_version=expected, large=large
            )

    async def version_after(self, collection_id: UUID, handled: Handled[Collection], context: Context) -> int:
        """The version that the command led to when it was first handled; the present one if it had no events."""
        if handled.events or not context.repeatable:
            return handled.version
        history = await self.store.read_stream(collection_id)
        versions = [event.version for event in history if event.context.command_id == context.command_id]
        return versions[-1] if versions else handled.version

    async def transfer_custody(
        self, user_id: UUID, collection_id: UUID, new_owner: UUID, context: Context
    ) -> Handled[Collection]:
        """Moves a collection to the new owner's default project, which is created if missing. Idempotent by command id.

        Raises NOT_FOUND, CONFLICT.
        """
        for _ in range(MAX_ATTEMPTS):
            loaded = await self.store.load(COLLECTION, collection_id)
            if await self.store.is_handled(collection_id, context):
                return loaded.handled()
            project_id, project_events = await self._project_to_create_in(new_owner, None)
            events = decide_transfer(TransferCustody(user_id, new_owner, project_id), loaded.state)
            appends = [StreamAppend(collection_id, loaded.version, events), StreamAppend(project_id, 0, project_events)]
            try:
                await self.store.append(appends, context)
            except VersionConflict:
                continue
            return (await self.store.load(COLLECTION, collection_id)).handled()
        raise Problem("CONFLICT", CONTENDED)
