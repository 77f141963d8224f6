"""A project: a user's folder of collections. Each user has a default project, created on first use."""

from typing import assert_never
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec

from services.collections.domain.text import line_faults
from shared.contracts.collections import CurrentCollectionChosen, ProjectCreated, ProjectEvent, ProjectRenamed
from shared.contracts.event import Event
from shared.contracts.problem import invalid, not_found

PROJECTS = uuid5(NAMESPACE_URL, "https://emprops.ai/projects")
DEFAULT_NAME = "Default"
UNTITLED_NAME = "Untitled"
MAX_NAME = 200


class Project(msgspec.Struct, frozen=True):
    project_id: UUID | None = None
    user_id: UUID | None = None
    name: str = ""
    is_default: bool = False
    current_collection_id: UUID | None = None

    @property
    def exists(self) -> bool:
        return self.project_id is not None


NOTHING = Project()


def evolve(state: Project, event: Event) -> Project:
    match event:
        case ProjectCreated():
            return Project(event.project_id, event.user_id, event.name, event.is_default)
        case ProjectRenamed():
            return msgspec.structs.replace(state, name=event.name)
        case CurrentCollectionChosen():
            return msgspec.structs.replace(state, current_collection_id=event.collection_id)
        case _:
            raise AssertionError(f"{event!r} is not an event of a project")


class CreateProject(msgspec.Struct, frozen=True):
    project_id: UUID
    user_id: UUID
    name: str
    is_default: bool = False


class RenameProject(msgspec.Struct, frozen=True):
    user_id: UUID
    name: str


class ChooseCurrentCollection(msgspec.Struct, frozen=True):
    user_id: UUID
    collection_id: UUID


Command = CreateProject | RenameProject | ChooseCurrentCollection


def decide(command: Command, state: Project) -> list[ProjectEvent]:
    """The events of a command. Idempotent: none if the state already matches.

    Raises VALIDATION_FAILED for a name that isn't accepted, NOT_FOUND for a project that is not the user's.
    """
    match command:
        case CreateProject():
            _check_name(command.name)
            if state.exists:
                owned(state, command.user_id)
                return []
            return [ProjectCreated(command.project_id, command.user_id, command.name.strip(), command.is_default)]
        case RenameProject():
            project_id = owned(state, command.user_id)
            _check_name(command.name)
            name = command.name.strip()
            return [] if name == state.name else [ProjectRenamed(project_id, name)]
        case ChooseCurrentCollection():
            project_id = owned(state, command.user_id)
            previous = state.current_collection_id
            if previous == command.collection_id:
                return []
            return [CurrentCollectionChosen(project_id, command.collection_id, previous)]
        case _ as never:
            assert_never(never)


def owned(state: Project, user_id: UUID) -> UUID:
    """The id of a project that exists and is the user's; raises NOT_FOUND otherwise."""
    if state.project_id is None or state.user_id != user_id:
        raise not_found("The project")
    return state.project_id


def default_project_id(user_id: UUID) -> UUID:
    """Derived from the user's id, so that concurrent creations make one default project."""
    return uuid5(PROJECTS, f"{user_id}:default")


def create_default(user_id: UUID) -> CreateProject:
    return CreateProject(default_project_id(user_id), user_id, DEFAULT_NAME, is_default=True)


def create_untitled(user_id: UUID, number: int) -> CreateProject:
    """The user's n-th untitled project (from 1); its id derives from the number, so it exists once."""
    name = UNTITLED_NAME if number == 1 else f"{UNTITLED_NAME} {number}"
    return CreateProject(uuid5(PROJECTS, f"{user_id}:untitled:{number}"), user_id, name)


def _check_name(name: str) -> None:
    faults = line_faults(name, "/name", "a project's name", MAX_NAME)
    if faults:
        raise invalid("The project's name can't be used", *faults)
