"""Commands on projects and collections: load → decide → append."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid5

from services.collections.component_ids import ComponentIds
from services.collections.domain import collection, component_asset, components, instructions, project
from services.collections.domain.collection import (
    ArchiveCollection,
    Collection,
    CreateCollection,
    EditCollection,
    PublishCollection,
    RestoreCollection,
)
from services.collections.domain.component_asset import ComponentAsset
from services.collections.domain.fields import FieldChanges
from services.collections.domain.project import CreateProject, Project, create_default, create_untitled
from shared.contracts.event import Event
from shared.contracts.problem import Problem
from shared.contracts.references import MAX_STEPS
from shared.eventstore import Context, Decider, EventStore, Handled, Loaded, StreamAppend, VersionConflict

PROJECT = Decider("project", project.NOTHING, project.evolve, Project)
COLLECTION = Decider("collection", collection.NOTHING, collection.evolve, Collection, snapshot_every=100)
COMPONENT_ASSET = Decider("component_asset", component_asset.NOTHING, component_asset.evolve, ComponentAsset)

ATTEMPTS = 20


@dataclass(frozen=True)
class Handlers:
    store: EventStore
    component_ids: ComponentIds
    clock: Callable[[], datetime]

    async def create_project(self, user_id: UUID, name: str, context: Context) -> Handled[Project]:
        command = CreateProject(uuid5(context.command_id, "project"), user_id, name)
        return await self.store.handle(
            PROJECT, command.project_id, lambda state: project.decide(command, state), context
        )

    async def create_untitled_project(self, user_id: UUID, known: int, context: Context) -> Handled[Project]:
        """Makes the next untitled project of a user who has `known` of them or more."""
        for number in range(known + 1, known + 1 + ATTEMPTS):
            command = create_untitled(user_id, number)
            events = project.decide(command, project.NOTHING)
            try:
                appended = await self.store.append([StreamAppend(command.project_id, 0, events)], context)
            except VersionConflict:
                continue
            # Not always the stream just tried: the same command may have been recorded before, under a smaller number.
            ((project_id, version),) = appended.versions.items()
            made = await self.store.load(PROJECT, project_id)
            return Handled(made.state, version, appended.position)
        raise Problem("CONFLICT", "Other untitled projects were made at the same time: try again")

    async def create_collection(
        self,
        user_id: UUID,
        project_id: UUID | None,
        changes: FieldChanges,
        data: dict[str, Any] | None,
        context: Context,
    ) -> Loaded[Collection]:
        """Collection and preview, and the user's default project where it is needed and missing, in one append.

        The same command again gives the same collection. Raises VALIDATION_FAILED, NOT_FOUND for the project.
        """
        collection_id = uuid5(context.command_id, "collection")
        if context.repeatable:
            before = await self.store.load(COLLECTION, collection_id)
            if before.version:
                return before
        if data is None:
            data = instructions.default()
        for _ in range(ATTEMPTS):
            folder, made = await self._folder(user_id, project_id)
            command = CreateCollection(
                collection_id=collection_id,
                project_id=folder,
                user_id=user_id,
                changes=changes,
                data=data,
                component_ids=await self._new_component_ids(data),
            )
            events = collection.decide(command, collection.NOTHING)
            # The collection stands first: its first event's id tells whether this command has been recorded before.
            appends = [StreamAppend(collection_id, 0, events)]
            if made:
                appends.append(StreamAppend(folder, 0, made))
            try:
                appended = await self.store.append(appends, context)
            except VersionConflict:
                continue
            if appended.replayed:
                return await self.store.load(COLLECTION, collection_id)
            state = collection.NOTHING
            for event in events:
                state = collection.evolve(state, event)
            return Loaded(state, appended.versions[collection_id], appended.position)
        raise Problem("CONFLICT", "This was changed by others at the same time: try again")

    async def _folder(self, user_id: UUID, project_id: UUID | None) -> tuple[UUID, list[Event]]:
        """The project to create in, and what has to happen for it to exist."""
        if project_id is not None:
            return project.owned((await self.store.load(PROJECT, project_id)).state, user_id), []
        command = create_default(user_id)
        known = await self.store.load(PROJECT, command.project_id)
        return command.project_id, list(project.decide(command, known.state))

    async def _new_component_ids(self, data: Any) -> list[int]:
        claimed = components.claimed_ids(data)
        return await self.component_ids.take(min(len(claimed), MAX_STEPS), apart_from=frozenset(claimed))

    async def edit_collection(
        self,
        user_id: UUID,
        project_id: UUID,
        collection_id: UUID,
        changes: FieldChanges,
        data: dict[str, Any] | None,
        context: Context,
        expected_version: int | None,
    ) -> Handled[Collection]:
        command = EditCollection(
            user_id=user_id,
            project_id=project_id,
            changes=changes,
            data=data,
            component_ids=await self._new_component_ids(data),
        )
        return await self._handle(command, collection_id, context, expected_version)

    async def publish_collection(
        self, user_id: UUID, collection_id: UUID, context: Context, expected_version: int | None
    ) -> Handled[Collection]:
        now = self.clock().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return await self._handle(PublishCollection(user_id, now), collection_id, context, expected_version)

    async def archive_collection(
        self, user_id: UUID, collection_id: UUID, context: Context, expected_version: int | None
    ) -> Handled[Collection]:
        return await self._handle(ArchiveCollection(user_id), collection_id, context, expected_version)

    async def restore_collection(
        self, user_id: UUID, collection_id: UUID, context: Context, expected_version: int | None
    ) -> Handled[Collection]:
        return await self._handle(RestoreCollection(user_id), collection_id, context, expected_version)

    async def note_asset(self, stream_id: UUID, command: component_asset.Command, context: Context) -> None:
        await self.store.handle(COMPONENT_ASSET, stream_id, partial(component_asset.decide, command), context)

    async def _handle(
        self, command: collection.Command, collection_id: UUID, context: Context, expected_version: int | None
    ) -> Handled[Collection]:
        if expected_version is not None:
            # Whose it is comes before which version it is at: somebody else's collection is not there.
            collection.owned((await self.store.load(COLLECTION, collection_id)).state, command.user_id)
        return await self.store.handle(
            COLLECTION,
            collection_id,
            partial(collection.decide, command),
            context,
            expected_version=expected_version,
        )
