"""Commands on projects: create, rename, choose the current collection."""

from dataclasses import dataclass
from functools import partial
from uuid import UUID, uuid5

from services.collections.deciders import COLLECTION, PROJECT
from services.collections.domain import project
from services.collections.domain.collection import state as collection
from services.collections.domain.project import (
    ChooseCurrentCollection,
    CreateProject,
    Project,
    RenameProject,
    create_untitled,
)
from shared.contracts.problem import Problem
from shared.eventstore import Context, EventStore, Handled, StreamAppend, VersionConflict

MAX_ATTEMPTS = 20
"""Attempts of a command on several streams; after a version conflict, the next one decides on newly loaded states."""
CONTENDED = "Concurrent changes prevented this one: try again"


@dataclass(frozen=True)
class ProjectHandlers:
    store: EventStore

    async def create_project(self, user_id: UUID, name: str, context: Context) -> Handled[Project]:
        """Creates a project with this name. Raises VALIDATION_FAILED."""
        command = CreateProject(uuid5(context.command_id, "project"), user_id, name)
        return await self._handle(command.project_id, command, context)

    async def create_untitled_project(self, user_id: UUID, count: int, context: Context) -> Handled[Project]:
        """Creates the next untitled project of a user who has at least `count` of them.

        Raises CONFLICT after MAX_ATTEMPTS numbers that other commands have taken meanwhile.
        """
        number = count + 1
        for _ in range(MAX_ATTEMPTS):
            command = create_untitled(user_id, number)
            events = project.decide(command, project.NOTHING)
            try:
                appended = await self.store.append([StreamAppend(command.project_id, 0, events)], context)
            except VersionConflict:
                number = await self._free_number(user_id, number)
                continue
            # A repeated command may have been recorded under a smaller number: the stream is then that project's.
            ((project_id, version),) = appended.versions.items()
            loaded = await self.store.load(PROJECT, project_id)
            return Handled(loaded.state, version, appended.position, began_at=loaded.began_at)
        raise Problem("CONFLICT", CONTENDED)

    async def _free_number(self, user_id: UUID, number: int) -> int:
        """The first number after `number`, which is taken, that no untitled project of the user has.

        Projects that were renamed keep theirs. Loads about twice as many projects as the answer has binary digits.
        """
        step = 1
        while await self._is_taken(user_id, number + step):
            number, step = number + step, step * 2
        free = number + step
        while free - number > 1:
            middle = (number + free) // 2
            if await self._is_taken(user_id, middle):
                number = middle
            else:
                free = middle
        return free

    async def _is_taken(self, user_id: UUID, number: int) -> bool:
        return (await self.store.load(PROJECT, create_untitled(user_id, number).project_id)).version > 0

    async def rename_project(self, user_id: UUID, project_id: UUID, name: str, context: Context) -> Handled[Project]:
        """Raises NOT_FOUND for a project that is not the user's, VALIDATION_FAILED."""
        return await self._handle(project_id, RenameProject(user_id, name), context)

    async def choose_current(self, user_id: UUID, collection_id: UUID, context: Context) -> Handled[Project]:
        """Makes a collection the current one of its project. Raises NOT_FOUND, CONFLICT if it is archived."""
        state = (await self.store.load(COLLECTION, collection_id)).state
        collection.owned(state, user_id)
        collection.refuse_archived(state)
        assert state.project_id is not None, "a collection is created in a project"
        return await self._handle(state.project_id, ChooseCurrentCollection(user_id, collection_id), context)

    async def _handle(self, project_id: UUID, command: project.Command, context: Context) -> Handled[Project]:
        return await self.store.handle(PROJECT, project_id, partial(project.decide, command), context)
