"""Commands on projects and collections: load → decide → append."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

from services.collections.component_ids import ComponentIds
from services.collections.domain import (
    artwork,
    collection,
    component_asset,
    components,
    creation,
    custody,
    instructions,
    project,
    series,
)
from services.collections.domain.artwork import Artwork
from services.collections.domain.collection import Collection, Custody
from services.collections.domain.component_asset import ComponentAsset
from services.collections.domain.creation import CreateCollection, ForkCollection
from services.collections.domain.custody import TransferCustody
from services.collections.domain.fields import FieldChanges
from services.collections.domain.project import (
    ChooseCurrentCollection,
    CreateProject,
    Project,
    RenameProject,
    create_default,
    create_untitled,
)
from services.collections.domain.series import Series
from shared.contracts.event import Event
from shared.contracts.generation import GenerationStarted
from shared.contracts.problem import Problem
from shared.contracts.references import MAX_STEPS
from shared.eventstore import Context, Decider, EventStore, Handled, Loaded, StreamAppend, VersionConflict
from shared.http import Precondition

PROJECT = Decider("project", project.NOTHING, project.evolve, Project)
COLLECTION = Decider(
    "collection", collection.NOTHING, collection.evolve, Collection, state_version=2, snapshot_every=100
)
COMPONENT_ASSET = Decider("component_asset", component_asset.NOTHING, component_asset.evolve, ComponentAsset)
SERIES = Decider("series", series.NOTHING, series.evolve, Series)
ARTWORK = Decider("artwork", artwork.NOTHING, artwork.evolve, Artwork)

ATTEMPTS = 20
CROWDED = "This was changed by others at the same time: try again"


@dataclass(frozen=True)
class Handlers:
    store: EventStore
    component_ids: ComponentIds
    clock: Callable[[], datetime]
    turns: WeakValueDictionary[UUID, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """Who changes a collection waits for those before him in this process: a crowd would only conflict, and give up.

    What other replicas do meanwhile is still seen by its version.
    """

    # Projects

    async def create_project(self, user_id: UUID, name: str, context: Context) -> Handled[Project]:
        command = CreateProject(uuid5(context.command_id, "project"), user_id, name)
        return await self._on_project(command.project_id, command, context)

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
            return Handled(made.state, version, appended.position, began_at=made.began_at)
        raise Problem("CONFLICT", CROWDED)

    async def rename_project(self, user_id: UUID, project_id: UUID, name: str, context: Context) -> Handled[Project]:
        return await self._on_project(project_id, RenameProject(user_id, name), context)

    async def choose_current(self, user_id: UUID, collection_id: UUID, context: Context) -> Handled[Project]:
        """Makes a collection the one that its owner works on in its project."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        collection.owned(state, user_id)
        collection.refuse_archived(state)
        assert state.project_id is not None, "a collection is created in a project"
        return await self._on_project(state.project_id, ChooseCurrentCollection(user_id, collection_id), context)

    async def _on_project(self, project_id: UUID, command: project.Command, context: Context) -> Handled[Project]:
        return await self.store.handle(PROJECT, project_id, partial(project.decide, command), context)

    # New collections

    async def create_collection(
        self,
        user_id: UUID,
        project_id: UUID | None,
        changes: FieldChanges,
        data: dict[str, Any] | None,
        context: Context,
    ) -> Handled[Collection]:
        """Collection and preview, and the user's default project where it is needed and missing, in one append.

        The same command again gives the same collection. Raises VALIDATION_FAILED, NOT_FOUND for the project.
        """
        if data is None:
            data = instructions.default()

        async def command(collection_id: UUID, folder: UUID) -> creation.Command:
            return CreateCollection(
                collection_id=collection_id,
                project_id=folder,
                user_id=user_id,
                changes=changes,
                data=data,
                component_ids=await self.new_component_ids(data),
            )

        return await self._make(user_id, project_id, command, context)

    async def fork_collection(
        self, user_id: UUID, project_id: UUID | None, source_id: UUID, kept_for: Custody | None, context: Context
    ) -> Handled[Collection]:
        """As `create_collection`, from another collection as it is now. Raises NOT_FOUND for one that is not shown."""

        async def command(collection_id: UUID, folder: UUID) -> creation.Command:
            source = (await self.store.load(COLLECTION, source_id)).state
            return ForkCollection(
                collection_id=collection_id,
                project_id=folder,
                user_id=user_id,
                source=source,
                component_ids=await self.new_component_ids(source.data),
                custody=kept_for,
            )

        return await self._make(user_id, project_id, command, context)

    async def _make(
        self,
        user_id: UUID,
        project_id: UUID | None,
        command: Callable[[UUID, UUID], Awaitable[creation.Command]],
        context: Context,
    ) -> Handled[Collection]:
        """`command` gets the ids of the collection and of its project."""
        collection_id = uuid5(context.command_id, "collection")
        if context.repeatable:
            before = await self.store.load(COLLECTION, collection_id)
            if before.version:
                return before.handled()
        for _ in range(ATTEMPTS):
            generation = self.store.epochs.generation
            folder, made = await self._folder(user_id, project_id)
            wanted = await command(collection_id, folder)
            data = wanted.data if isinstance(wanted, CreateCollection) else wanted.source.data
            if instructions.is_large(data):
                events = await asyncio.to_thread(creation.decide, wanted, collection.NOTHING)
            else:
                events = creation.decide(wanted, collection.NOTHING)
            # The collection stands first: its first event's id tells whether this command has been recorded before.
            beside = [StreamAppend(folder, 0, made)]
            try:
                return await self.store.create(
                    COLLECTION, collection_id, events, context, beside=beside, generation=generation
                )
            except VersionConflict:
                continue
        raise Problem("CONFLICT", CROWDED)

    async def _folder(self, user_id: UUID, project_id: UUID | None) -> tuple[UUID, Sequence[Event]]:
        """The project to create in, and what has to happen for it to exist."""
        if project_id is not None:
            return project.owned((await self._project(project_id)).state, user_id), ()
        command = create_default(user_id)
        return command.project_id, project.decide(command, (await self._project(command.project_id)).state)

    async def _project(self, project_id: UUID) -> Loaded[Project]:
        """A project for what never changes about it: that it exists, and whose it is."""
        return self.store.known(PROJECT, project_id) or await self.store.load(PROJECT, project_id)

    async def new_component_ids(self, data: Any) -> list[int]:
        """As many as the steps that `data`, which nobody has checked yet, says to have."""
        claimed = components.claimed_ids(data)
        return await self.component_ids.take(min(len(claimed), MAX_STEPS), apart_from=frozenset(claimed))

    # Collections that are there

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
        """What `decide` says happens to the user's collection; VERSION_CONFLICT where `precondition` forbids it."""
        async with self.turns.setdefault(collection_id, asyncio.Lock()):
            expected = None
            if precondition.asks:
                # Whose it is comes before which version it is at: somebody else's collection is not there.
                now = await self.store.load(COLLECTION, collection_id)
                collection.owned(now.state, user_id)
                expected = precondition.expected(now.version)
            return await self.store.handle(
                COLLECTION, collection_id, decide, context, expected_version=expected, large=large
            )

    async def version_made(self, collection_id: UUID, done: Handled[Collection], context: Context) -> int:
        """The version that a change made when it was first done; the present one if it never did anything."""
        if done.events or not context.repeatable:
            return done.version
        recorded = await self.store.read_stream(collection_id)
        made = [each.version for each in recorded if each.context.command_id == context.command_id]
        return made[-1] if made else done.version

    async def transfer_custody(
        self, user_id: UUID, collection_id: UUID, new_owner: UUID, context: Context
    ) -> Handled[Collection]:
        """Hands a collection over, into the default project of the new owner, which is made if it is missing."""
        for _ in range(ATTEMPTS):
            before = await self.store.load(COLLECTION, collection_id)
            folder, made = await self._folder(new_owner, None)
            events = custody.decide(TransferCustody(user_id, new_owner, folder), before.state)
            appends = [StreamAppend(collection_id, before.version, events), StreamAppend(folder, 0, made)]
            try:
                await self.store.append(appends, context)
            except VersionConflict:
                continue
            return (await self.store.load(COLLECTION, collection_id)).handled()
        raise Problem("CONFLICT", CROWDED)

    async def note_asset(self, stream_id: UUID, command: component_asset.Command, context: Context) -> None:
        await self.store.handle(COMPONENT_ASSET, stream_id, partial(component_asset.decide, command), context)

    # What jobs make of collections

    async def note_series(self, stream_id: UUID, command: series.Command, context: Context) -> None:
        await self.store.handle(SERIES, stream_id, partial(series.decide, command), context)

    async def draw_artwork(self, started: GenerationStarted, context: Context) -> None:
        """Raises UNAVAILABLE while the job's request, which stands on another stream, has not been heard."""
        known = self.store.known(SERIES, started.job_id)
        if known is None or known.state.collection_id is None:  # once begun, its places are always the same
            known = await self.store.load(SERIES, started.job_id)
        command = artwork.DrawArtwork(
            gid=started.gid,
            job_id=started.job_id,
            collection_id=started.collection_id,
            user_id=started.user_id,
            hash=started.hash,
            variables=started.variables,
            series=known.state,
        )
        await self.note_artwork(started.gid, command, context)

    async def note_artwork(self, gid: UUID, command: artwork.Command, context: Context) -> None:
        is_first = isinstance(command, artwork.DrawArtwork)  # when it comes again, it has been recorded before
        await self.store.handle(ARTWORK, gid, partial(artwork.decide, command), context, new=is_first)
